// The charts, drawn as SVG from what `series.js` gives. A click on a dot goes to its message.

const WIDTH = 620, LEFT = 52, RIGHT_EDGE = 12, TOP = 8, BOTTOM = 20;
const TIME_STEPS = [1e6, 1e7, 1e8, 1e9, 2e9, 5e9, 1e10, 3e10, 6e10, 12e10, 3e11, 6e11, 18e11, 36e11, 108e11, 216e11, 432e11, 864e11, 6048e11];
const MOST_DOTS = 3000, MOST_ACTIONS = 25, MOST_TRACKS = 40;

function figure(holder, title, words, height, wide) {
  const box = make('figure', wide ? 'wide' : ''), caption = make('figcaption', '', `${title} `);
  caption.append(make('span', '', words));
  const width = wide ? Math.max(holder.clientWidth - 52, 560) : WIDTH;
  const drawing = svg('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${title} ${words}`});
  box.append(caption, drawing);
  holder.append(box);
  return {drawing, width, height, right: width - RIGHT_EDGE, bottom: height - BOTTOM};
}
function scale(low, high, from, to) {
  const range = high - low || 1;
  return (value) => from + (Math.min(Math.max(value, low), high) - low) / range * (to - from);
}
function logScale(low, high, from, to) {
  const line = scale(Math.log10(low), Math.log10(high), from, to);
  return (value) => line(Math.log10(Math.max(value, low)));
}
function timeAxis(plot, low, high) {
  const across = scale(low, high, LEFT, plot.right), count = Math.max(Math.floor((plot.right - LEFT) / 95), 1);
  const step = TIME_STEPS.find((one) => (high - low) / one <= count) || (high - low) / count, days = high - low > 2 * 864e11;
  const offset = (meta.base[0] % 86400) * NS_S + meta.base[1];  // so that ticks stand at round times of day
  for (let time = Math.ceil((low + offset) / step) * step - offset; time <= high; time += step) {
    const x = across(time), words = step < 1e9 ? clock(time) : days ? stamp(time, 0).slice(5, 16) : clock(time).slice(0, 8);
    plot.drawing.append(svg('line', {x1: x, x2: x, y1: TOP, y2: plot.bottom, class: 'grid'}));
    const anchor = x < LEFT + 30 ? 'start' : x > plot.right - 30 ? 'end' : 'middle';
    plot.drawing.append(svg('text', {x: x, y: plot.height - 5, 'text-anchor': anchor}, words));
  }
  plot.drawing.append(svg('line', {x1: LEFT, x2: plot.right, y1: plot.bottom, y2: plot.bottom, class: 'axis'}));
  return across;
}
function round(most, count) {  // steps of a round size, in the unit of what they count
  const unit = most >= 6e10 * count ? 6e10 : most >= NS_S ? NS_S : 1, rough = most / unit / count, power = 10 ** Math.floor(Math.log10(rough));
  return unit * power * [1, 2, 5, 10].find((one) => one * power >= rough);
}
function level(plot, y, words) {
  plot.drawing.append(svg('line', {x1: LEFT, x2: plot.right, y1: y, y2: y, class: 'grid'}),
    svg('text', {x: LEFT - 5, y: y + 4, 'text-anchor': 'end'}, words));
}
function spanAxis(plot, low, high) {  // logarithmic
  const up = logScale(low, high, plot.bottom, TOP);
  for (let tick = low; tick <= high * 1.001; tick *= 10) level(plot, up(tick), span(tick));
  return up;
}
function decades(values) {
  const low = 10 ** Math.floor(Math.log10(Math.max(values[0], 1e3)));
  return [low, Math.max(10 ** Math.ceil(Math.log10(Math.max(values[values.length - 1], 1e3))), low * 10)];
}
function dot(x, y, className, words, place, radius = 2.6) {
  const circle = svg('circle', {cx: x.toFixed(1), cy: y.toFixed(1), r: radius, class: `dot ${className}`, 'data-place': place});
  circle.append(svg('title', {}, words));
  return circle;
}
function thinned(points, value) {  // of each run one as it comes, and the highest: high ones are what one looks for
  if (points.length <= MOST_DOTS) return points;
  const runs = MOST_DOTS / 2, run = points.length / runs, kept = [];
  for (let at = 0; at < runs; at += 1) {
    const part = points.slice(Math.floor(at * run), Math.floor((at + 1) * run));
    kept.push(part[0], part.reduce((best, one) => (one[value] > best[value] ? one : best)));
  }
  return kept;
}
function ends(lists) {
  let low = Infinity, high = -Infinity;
  for (const list of lists) for (const one of list) {
    low = Math.min(low, one[0]);
    high = Math.max(high, one[0]);
  }
  return [low, high];
}

function latencyChart(holder, answered, silent) {
  const sorted = answered.map((one) => one[1]).sort((one, other) => one - other);
  const words = sorted.length ? `${grouped(sorted.length)} answers, median ${span(percentile(sorted, 50))}, p95 ${span(percentile(sorted, 95))}, slowest ${span(sorted[sorted.length - 1])}${sorted.length > MOST_DOTS ? `; ${grouped(MOST_DOTS)} of them drawn, all high ones` : ''}` : 'no answers';
  const plot = figure(holder, 'Latency', `${words}${silent.length ? `, ${grouped(silent.length)} without answer ✗` : ''}`, 240, true);
  const [low, high] = ends([answered, silent]), across = timeAxis(plot, low, high);
  if (sorted.length) {
    const up = spanAxis(plot, ...decades(sorted));
    const draws = (name, y) => plot.drawing.append(svg('line', {x1: LEFT, x2: plot.right, y1: y, y2: y, class: name}));
    draws('median', up(percentile(sorted, 50)));
    draws('p95', up(percentile(sorted, 95)));
    for (const [time, latency, side, place] of thinned(answered, 1)) {
      plot.drawing.append(dot(across(time), up(latency), ['to-station', 'to-csms'][side], `${clock(time)} ${items[place][ACTION]} ${span(latency)}, answered by the ${SIDES[side]}`, place));
    }
  }
  for (const [time, , place] of silent.slice(0, MOST_DOTS)) {
    const cross = svg('text', {x: across(time), y: TOP + 5, 'text-anchor': 'middle', class: 'dot none', 'data-place': place}, '✗');
    cross.append(svg('title', {}, `${clock(time)} ${items[place][ACTION]} without answer`));
    plot.drawing.append(cross);
  }
}
function actionChart(holder, answered) {
  const rows = byAction(answered);
  if (!rows.length) return;
  const box = make('figure'), caption = make('figcaption', '', 'Latency by action ');
  caption.append(make('span', '', '→ asked by the station, ← by the CSMS'));
  box.append(caption);
  const table = make('table'), head = table.createTHead().insertRow(), body = table.createTBody();
  const all = rows.flatMap((row) => row[1]).sort((one, other) => one - other), [low, high] = decades(all);
  for (const name of ['action', 'count', 'median', 'p95', `${span(low)} – ${span(high)}`]) {
    const cell = make('th', /count|median|p95/.test(name) ? 'num' : '', name);
    cell.scope = 'col';
    head.append(cell);
  }
  for (const [name, values] of rows.slice(0, MOST_ACTIONS)) {
    const row = body.insertRow();
    row.append(make('td', '', name), make('td', 'num', grouped(values.length)), make('td', 'num', span(percentile(values, 50))), make('td', 'num', span(percentile(values, 95))));
    row.insertCell().append(bars(values, low, high));
  }
  box.append(table);
  if (rows.length > MOST_ACTIONS) box.append(make('p', 'dim', `and ${rows.length - MOST_ACTIONS} more actions`));
  holder.append(box);
}
function bars(values, low, high) {
  const width = 240, height = 20, bins = 48, counts = new Array(bins).fill(0), across = logScale(low, high, 0, bins);
  for (const value of values) counts[Math.min(Math.floor(across(value)), bins - 1)] += 1;
  const most = Math.max(...counts), drawing = svg('svg', {viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true'});
  counts.forEach((count, bin) => {
    const tall = count && Math.max(count / most * height, 1.5);
    if (count) drawing.append(svg('rect', {x: bin * width / bins, y: height - tall, width: width / bins - 1, height: tall, class: 'bar'}));
  });
  return drawing;
}
function heartbeatChart(holder) {
  const stations = heartbeats();
  if (!stations.length) return;
  const all = stations.flatMap(([, one]) => one.beats), expected = [...new Set(stations.map(([, one]) => one.expected).filter(Boolean))];
  const words = `${stations.length === 1 ? stations[0][0] : `${stations.length} stations`}${expected.length ? `, asked for every ${expected.slice(0, 3).map(span).join(', ')}` : ''}`;
  const plot = figure(holder, 'Time between heartbeats', words, 180), across = timeAxis(plot, ...ends([all]));
  let high = 0;
  for (const one of all) high = Math.max(high, one[1]);
  const most = Math.max(high, ...expected.filter((one) => one < high * 3)) * 1.1, up = scale(0, most, plot.bottom, TOP);
  for (let tick = 0; tick <= most; tick += round(most, 5)) level(plot, up(tick), tick ? span(tick) : '0');
  for (const one of expected) if (one <= most) plot.drawing.append(svg('line', {x1: LEFT, x2: plot.right, y1: up(one), y2: up(one), class: 'expected'}));
  for (const [time, since, place] of thinned(all, 1)) {
    plot.drawing.append(dot(across(time), up(since), 'to-station', `${clock(time)} ${stationOf(items[place])}: ${span(since)} after the one before`, place));
  }
}
function connectionChart(holder) {
  const tracks = new Map();
  const wanted = new Set(shown.map((place) => stationOf(items[place])));
  for (const [name, opened, closed, refused] of Object.values(meta.connections)) {
    if (!wanted.has(name)) continue;
    if (!tracks.has(name)) tracks.set(name, []);
    tracks.get(name).push([opened, closed, refused]);
  }
  if (!tracks.size) return;
  const rows = [...tracks].slice(0, MOST_TRACKS), step = 19, height = rows.length * step + TOP + BOTTOM + 4;
  const more = tracks.size > rows.length ? `, ${tracks.size - rows.length} more stations` : '';
  const plot = figure(holder, 'Connections', `${tracks.size} station${tracks.size === 1 ? '' : 's'}${more}`, height, true);
  const last = items.length ? items[items.length - 1][TIME] : 0;
  const all = rows.flatMap(([, list]) => list.flatMap(([opened, closed]) => [[opened], [closed ?? last]]));
  const across = timeAxis(plot, ...ends([all]));
  rows.forEach(([name, list], at) => {
    const y = TOP + at * step + 3;
    for (const [opened, closed, refused] of list) {
      const from = across(opened), to = Math.max(across(closed ?? last), from + 2);
      const bar = refused ? svg('text', {x: from, y: y + 11, class: 'none'}, '✗') : svg('rect', {x: from, y: y, width: to - from, height: step - 6, rx: 2, class: 'stay'});
      bar.append(svg('title', {}, `${name}: ${refused ? 'refused' : 'connected'} ${clock(opened)}${closed === null || refused ? '' : ` – ${clock(closed)}, ${span(closed - opened)}`}`));
      plot.drawing.append(bar);
    }
    plot.drawing.append(svg('text', {x: LEFT + 5, y: y + 11, class: 'label'}, name));
  });
}
function curveChart(holder, title, points, unit) {
  if (points.length < 2) return;
  const values = points.map((one) => one[1]), low = Math.min(0, ...values), high = Math.max(...values, low + 1);
  const show = (value) => (Math.abs(value) >= 1000 ? `${(value / 1000).toFixed(1)}k${unit}` : `${Math.round(value)}${unit}`);
  const plot = figure(holder, title, `${points.length} readings, up to ${show(high)}`, 150);
  const across = timeAxis(plot, ...ends([points])), up = scale(low, high * 1.05, plot.bottom, TOP);
  const step = round(high - low, 4);
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) level(plot, up(tick), show(tick));
  plot.drawing.append(svg('polyline', {class: 'curve', points: points.map((one) => `${across(one[0]).toFixed(1)},${up(one[1]).toFixed(1)}`).join(' ')}));
  for (const [time, value, place] of points) plot.drawing.append(dot(across(time), up(value), 'to-station', `${clock(time)} ${show(value)}`, place));
}
function drawCharts() {
  const holder = byId('charts'), {answered, silent} = latencies();
  holder.replaceChildren();
  if (answered.length || silent.length) latencyChart(holder, answered, silent);
  connectionChart(holder);
  actionChart(holder, answered);
  heartbeatChart(holder);
  for (const one of transactions()) {
    curveChart(holder, `Energy of ${one.name}`, thinned(one.energy.map(([at, value, place]) => [at, value - one.energy[0][1], place]), 1), 'Wh');
    curveChart(holder, `Power of ${one.name}`, thinned(one.power, 1), 'W');
  }
  if (!holder.children.length) holder.append(make('p', 'empty', 'There is nothing to draw.'));
}
