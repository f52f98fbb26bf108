// The list: only what can be seen is in the page, whatever there is. Draws lines as a table or as a ladder.

const ROW_HEIGHT = 22, MORE_ROWS = 6;
const list = byId('list'), rowsBox = byId('rows'), heads = byId('heads');
const HEADS = ['#', 'time', 'Δ', 'station', '', 'kind', 'action', 'id', 'latency', 'size', 'says'];
const RIGHT = new Set(['#', 'Δ', 'latency', 'size']);
let mode = 'table', drawn = '';

function cell(text, className) {
  const element = make('span', className);
  element.setAttribute('role', 'gridcell');
  return fill(element, text);
}
function sinceWords(at) {
  if (!at) return '';
  const since = items[shown[at]][TIME] - items[shown[at - 1]][TIME];
  return since < 0 ? span(since) : `+${span(since)}`;
}
function gutter(at) {
  const item = items[shown[at]];
  return [cell(item[ROW] < 0 ? '' : String(item[ROW]), 'r d'), cell(clock(item[TIME]), 'd'), cell(sinceWords(at), 'r d')];
}
function tableCells(at) {
  const item = items[shown[at]], side = item[SIDE];
  const way = cell(side < 0 ? '' : '→←'[side], ['from-station', 'from-csms'][side] || '');
  const start = [...gutter(at), cell(nameOf(item), 'd name'), way];
  if (item[KIND] === BETWEEN) return [...start, cell(item[ACTION], 'kind'), cell(item[SAID], 'wide')];
  const said = cell(item[SAID], 'said'), outcome = extra(item).outcome;
  if (outcome) said.prepend(make('span', 'tag', `[${outcome}] `));
  const id = cell(item[ID], 'd id'), slow = item[LATENCY] > 5e9 ? ' slow' : '';
  id.title = item[ID];
  return [...start, cell(KINDS[item[KIND]], 'kind'), cell(item[ACTION], 'action'), id,
    cell(item[LATENCY] === null ? '' : span(item[LATENCY]), `r${slow}`), cell(size(item[SIZE]), 'r d size'), said];
}
function nameOf(item) { return item[CONNECTION] < 0 ? '' : `#${item[CONNECTION]} ${stationOf(item)}`; }
function remarkCells(item, remark) {
  const one = remarks(item)[remark];
  const line = make('span', one.style);
  line.setAttribute('role', 'gridcell');
  line.append(make('span', 'sign', `${one.sign} `), fill(make('b'), one.code), ' ', fill(make('span'), one.text));
  const rest = (extra(item).findings || []).length + (extra(item).problems || []).length - MOST_REMARKS;
  if (remark === MOST_REMARKS - 1 && rest > 0) line.append(make('span', 'd', `  and ${rest} more`));
  return [make('span'), make('span'), make('span'), line];
}
function drawRow(line) {
  const place = shown[lineItem[line]], item = items[place], remark = lineRemark[line];
  const row = make('div', 'row');
  row.id = `line-${line}`;
  row.dataset.line = line;
  row.setAttribute('role', 'row');
  row.setAttribute('aria-rowindex', line + 2);
  row.style.transform = `translateY(${line * ROW_HEIGHT}px)`;
  if (remark >= 0) row.classList.add('sub');
  else if (item[KIND] === BETWEEN) row.classList.add('between', ...(extra(item).tone ? [extra(item).tone] : []));
  else if (isFailure(item)) row.classList.add('failed');
  if (place === picked) {
    row.classList.add('picked');
    row.setAttribute('aria-selected', 'true');
  } else if (picked >= 0 && partnerOf(picked) === place) {
    row.classList.add('partner');
  }
  row.append(...(remark >= 0 ? remarkCells(item, remark) : mode === 'ladder' ? ladderCells(lineItem[line]) : tableCells(lineItem[line])));
  return row;
}
function drawHeads() {
  const names = mode === 'ladder' ? HEADS.slice(0, 3) : HEADS;
  heads.replaceChildren(...names.map((name) => {
    const head = make('span', `${RIGHT.has(name) ? 'r ' : ''}${name}`, name || '\u00a0');
    head.setAttribute('role', 'columnheader');
    return head;
  }));
  if (mode === 'ladder') heads.append(ladderHead());
}
function draw(force) {
  const first = Math.max(Math.floor(list.scrollTop / ROW_HEIGHT) - MORE_ROWS, 0);
  const last = Math.min(first + Math.ceil(list.clientHeight / ROW_HEIGHT) + 2 * MORE_ROWS, lineItem.length);
  const now = `${mode} ${first} ${last} ${picked} ${list.clientWidth}`;
  if (!force && now === drawn) return;
  drawn = now;
  const rows = [];
  for (let line = first; line < last; line += 1) rows.push(drawRow(line));
  rowsBox.replaceChildren(...rows);
}
function relist() {
  list.className = mode;
  list.setAttribute('aria-rowcount', lineItem.length + 1);
  rowsBox.style.height = `${lineItem.length * ROW_HEIGHT}px`;
  if (mode === 'ladder') layLanes();
  drawHeads();
  if (!lineItem.length) {
    drawn = '';
    rowsBox.replaceChildren(make('p', 'empty', '  Nothing passes the filter.'));
  } else {
    draw(true);
  }
}
function reveal(line) {
  const top = line * ROW_HEIGHT, room = list.clientHeight - heads.offsetHeight;
  if (top < list.scrollTop || top + ROW_HEIGHT > list.scrollTop + room) list.scrollTop = Math.max(top - room / 3, 0);
  draw(true);
  list.setAttribute('aria-activedescendant', `line-${line}`);
}
