// The ladder: stations on the left, the CSMS on the right, an arrow a line.

const SVG = 'http://www.w3.org/2000/svg';
const MOST_LANES = 8, LANE_SHARE = 0.4, FULL_HOP = 460, LEAST_WORDS = 180;
let lanes = {names: [], xs: [], last: 0, csms: 0, words: 0, shared: false, width: 0};

function svg(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
const stays = new Map();  // station → [opened, closed] of its connections
for (const [station, opened, closed, refused] of Object.values(meta.connections)) {
  if (!stays.has(station)) stays.set(station, []);
  if (!refused) stays.get(station).push([opened, closed === null ? Infinity : closed]);
}

function layLanes() {
  const names = new Set();
  for (const place of shown) {
    if (items[place][CONNECTION] >= 0) names.add(stationOf(items[place]));
    if (names.size > MOST_LANES) break;
  }
  const style = getComputedStyle(list), one = parseFloat(style.fontSize) * 0.602;
  const width = Math.max(list.clientWidth - 20 - 26.2 * one - 27, 240);
  const shared = names.size > MOST_LANES, kept = shared ? ['stations'] : [...names];
  const gap = kept.length > 1 ? Math.min(120, width * LANE_SHARE / (kept.length - 1)) : 0;
  const xs = kept.map((_, at) => 50 + at * gap), last = xs.length ? xs[xs.length - 1] : 50;
  let csms = last + FULL_HOP;
  if (width - csms < LEAST_WORDS + 40) csms = width - 40;
  lanes = {names: kept, xs: xs, last: last, csms: csms, words: width - csms > LEAST_WORDS ? width - csms - 16 : 0, shared: shared, width: width};
}
function laneOf(item) {
  if (item[CONNECTION] < 0) return -1;
  return lanes.shared ? 0 : lanes.names.indexOf(stationOf(item));
}
function ladderHead() {
  const box = make('span', 'lane');
  box.setAttribute('role', 'columnheader');
  [...lanes.names.map((name, at) => [name, lanes.xs[at]]), ['CSMS', lanes.csms]].forEach(([name, x]) => {
    const label = make('span', 'name', name);
    label.title = name;
    label.style.left = `${x}px`;
    label.style.maxWidth = `${lanes.xs.length > 1 ? Math.max(lanes.xs[1] - lanes.xs[0] - 4, 20) : 100}px`;
    box.append(label);
  });
  return box;
}
function lifelines(time) {
  return [...lanes.xs, lanes.csms].map((x, at) => {
    const name = lanes.names[at];
    const up = at === lanes.xs.length || lanes.shared || (stays.get(name) || []).some(([from, to]) => from <= time && time <= to);
    return svg('line', {x1: x, x2: x, y1: 0, y2: ROW_HEIGHT, class: up ? 'up' : 'down'});
  });
}
function arrow(item, from, to) {
  const message = item[KIND] !== BETWEEN, y = ROW_HEIGHT / 2;
  const tone = isFailure(item) ? 'bad' : extra(item).tone || (item[SIDE] >= 0 ? ['from-station', 'from-csms'][item[SIDE]] : '');
  const group = svg('g', {class: tone});
  const answer = message ? item[KIND] >= 3 && item[KIND] <= 5 : item[ACTION] === 'PONG';
  if (item[SIDE] < 0) {
    if (!message) group.append(svg('line', {x1: from, x2: to, y1: y, y2: y, class: 'shaft lost'}));
    return group;
  }
  const [start, end] = item[SIDE] === 0 ? [from, to] : [to, from], way = Math.sign(end - start);
  group.append(svg('line', {x1: start, x2: end - 7 * way, y1: y, y2: y, class: `shaft${answer ? ' answer' : ''}`}));
  const failed = /^(TIMEOUT|UNANSW|REFUSED|NO REPLY)/.test(item[ACTION]) && !message;
  if (failed) group.append(svg('path', {class: 'cross', d: `M${end - 11 * way} ${y - 4}l${7 * way} 8m0 -8l${-7 * way} 8`}));
  else group.append(svg('path', {d: `M${end} ${y}l${-9 * way} -4v8z`}));
  return group;
}
function ladderLabel(item) {
  const message = item[KIND] !== BETWEEN, label = make('span');
  if (lanes.shared) label.append(make('span', 'dim', `${stationOf(item)} `));
  const name = message ? item[ACTION] || KINDS[item[KIND]] : item[ACTION];
  label.append(fill(make('b', isFailure(item) ? 'bad' : ''), name));
  if (isFailure(item)) label.append(make('span', 'bad', ` ${KINDS[item[KIND]]}`));
  if (extra(item).outcome) label.append(make('span', 'tag', ` ${extra(item).outcome.split(':')[0]}`));
  if (item[LATENCY] !== null) label.append(make('span', item[LATENCY] > 5e9 ? 'slow' : 'dim', ` ${span(item[LATENCY])}`));
  if (!lanes.words || !message) label.append(' ', fill(make('span', 'dim'), item[SAID]));
  return label;
}
function ladderCells(at) {
  const item = items[shown[at]], box = make('span', 'lane'), lane = laneOf(item);
  box.setAttribute('role', 'gridcell');
  const drawing = svg('svg', {width: lanes.width, height: ROW_HEIGHT, 'aria-hidden': 'true'});
  drawing.append(...lifelines(item[TIME]));
  const last = lanes.last, from = lane < 0 ? last : lanes.xs[lane];
  drawing.append(arrow(item, from, lanes.csms));
  const label = make('span', 'label');
  label.style.left = `${last + 14}px`;
  label.style.width = `${Math.max(lanes.csms - last - 28, 0)}px`;
  label.append(ladderLabel(item));
  box.append(drawing, label);
  if (lanes.words && item[KIND] !== BETWEEN) {
    const said = fill(make('span', 'words'), item[SAID]);
    said.style.left = `${lanes.csms + 12}px`;
    said.style.width = `${lanes.words}px`;
    box.append(said);
  }
  return [...gutter(at), box];
}
