// The panel of one message: everything that is known of it, its JSON, and where its partner is.

const detail = byId('detail');
let raw = false;

function fact(holder, name, value) {
  if (value === '' || value === undefined || value === null) return;
  const pair = make('div');
  pair.append(make('dt', '', name), make('dd', '', value));
  holder.append(pair);
}
function button(text, action, className) {
  const element = make('button', className, text);
  element.type = 'button';
  element.addEventListener('click', action);
  return element;
}
function link(text, hash) {
  const element = make('a', '', text);
  element.href = `#${hash}`;
  return element;
}
function findingOf(rule, station) {
  for (const one of document.querySelectorAll('.finding')) {
    if (one.dataset.rule === rule && one.dataset.station === station) return one;
  }
  return null;
}
function facts(item) {
  const holder = make('dl', 'facts'), more = extra(item), known = meta.connections[item[CONNECTION]];
  const side = item[SIDE], message = item[KIND] !== BETWEEN;
  fact(holder, 'time', `${stamp(item[TIME])} UTC`);
  fact(holder, 'from', side < 0 ? '' : SIDES[side]);
  fact(holder, 'station', stationOf(item));
  fact(holder, 'connection', item[CONNECTION] < 0 ? '' : `#${item[CONNECTION]}${known ? ` ${known[4]}, OCPP ${known[5]}` : ''}`);
  fact(holder, 'id', item[ID]);
  fact(holder, 'latency', item[LATENCY] === null ? '' : `${span(item[LATENCY])} (${(item[LATENCY] / NS_MS).toFixed(3)} ms)`);
  fact(holder, 'outcome', more.outcome);
  if (message) fact(holder, 'size', `${grouped(item[SIZE])} bytes, ${grouped(item[WIRE])} on the wire${more.compressed ? ', compressed' : ''}${more.frames ? `, ${more.frames} frames` : ''}${more.binary ? ', binary' : ''}`);
  fact(holder, 'packets', item[PACKETS].length ? item[PACKETS].map(grouped).join(', ') + (more.packets ? ` … (${grouped(more.packets)})` : '') : '');
  return holder;
}
function remarkBox(one, station) {
  const box = make('div', `remark ${one.style}`);
  const target = one.rule && findingOf(one.rule, station);
  box.append(`${one.sign} `, target ? link(one.code, target.id) : make('b', '', one.code), ' ');
  if (one.whole) box.append(make('p', '', one.whole.split('\n').map(seen).join('\n')));
  else box.append(make('span', '', one.text));
  return box;
}
function partnerButton(place) {
  const other = partnerOf(place);
  if (other === undefined) return make('span', 'dim', items[place][KIND] === 2 ? 'no answer here' : '');
  const item = items[other];
  return button(`${callOf(items[place]) === other ? 'its CALL' : 'its answer'} #${item[ROW]} (o)`, () => pick(other));
}
function content(item) {
  const more = extra(item), text = item[TEXT];
  const holder = make('div', 'tree');
  const node = raw || text.length > 1 << 18 ? undefined : readJson(text);
  if (node) holder.append(jsonTree(node));
  else if (text) holder.append(text.length > 1 << 18 ? cutText(text, 1 << 18) : text.split('\n').map(seen).join('\n'));
  else holder.append(make('span', 'dim', '(empty)'));
  if (more.cut) holder.append(make('p', 'banner', `The first ${grouped(more.cut)} of ${grouped(item[SIZE])} bytes.`));
  return holder;
}
function showDetail() {
  if (picked < 0) {
    detail.hidden = true;
    return;
  }
  const item = items[picked], message = item[KIND] !== BETWEEN;
  const title = make('h2', isFailure(item) ? 'bad' : '');
  if (item[SIDE] >= 0) title.append('→←'[item[SIDE]], ' ');
  title.append(message ? `${KIND_NAMES[item[KIND]]} ${item[ACTION]}` : item[ACTION]);
  const bar = make('div', 'bar');
  if (message) {
    bar.append(partnerButton(picked), button(raw ? 'as a tree' : 'raw', () => { raw = !raw; showDetail(); }), button('copy', copy));
    const here = link(`#row-${item[ROW]}`, `row-${item[ROW]}`);
    here.className = 'end';
    bar.append(here);
  }
  bar.append(button('close', () => pick(-1), message ? '' : 'end'));
  const parts = [title, bar, facts(item), ...remarks(item).map((one) => remarkBox(one, stationOf(item)))];
  if (item[SAID]) parts.push(make('p', 'said', item[SAID]));
  if (message || item[TEXT]) parts.push(content(item));
  detail.replaceChildren(...parts);
  detail.hidden = false;
  detail.scrollTop = 0;
}
async function copy(event) {
  try {
    await navigator.clipboard.writeText(items[picked][TEXT]);
    event.target.textContent = 'copied';
  } catch {
    raw = true;
    showDetail();
    getSelection().selectAllChildren(detail.querySelector('.tree'));
  }
}
