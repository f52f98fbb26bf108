// What the reader does: views, choosing, keys, the address, paper.

const VIEWS = ['findings', 'stations', 'messages', 'ladder', 'charts'];
const SEARCH_AFTER_MS = 120, MOST_PRINTED = 2000;
let view = 'findings', searching = 0, quietly = false;

function show(name) {
  view = name;
  for (const tab of document.querySelectorAll('nav [role=tab]')) {
    const chosen = tab.dataset.view === name;
    tab.setAttribute('aria-selected', String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
  }
  const isList = name === 'messages' || name === 'ladder';
  byId('findings').hidden = name !== 'findings';
  byId('stations').hidden = name !== 'stations';
  byId('charts').hidden = name !== 'charts';
  byId('log').hidden = !isList;
  byId('filter').hidden = byId('shown').hidden = name === 'findings' || name === 'stations';
  if (isList) {
    mode = name === 'ladder' ? 'ladder' : 'table';
    relist();
    if (picked >= 0 && lineOf.has(picked)) reveal(lineOf.get(picked));
  }
  if (name === 'charts') drawCharts();
  remember();
}
function remember() {
  if (quietly) return;
  const query = view === 'findings' || view === 'stations' ? new URLSearchParams() : filterHash();
  if (view !== 'messages' || !query.size) query.set('view', view);
  const row = picked >= 0 && view !== 'findings' && view !== 'stations' ? items[picked][ROW] : -1;
  if (row >= 0) query.set('row', row);
  const short = row >= 0 && view === 'messages' && [...query.keys()].every((key) => key === 'view' || key === 'row');
  try {
    history.replaceState(null, '', short ? `#row-${row}` : `#${query}`);
  } catch { /* where a page may not change its address, it stays as it is */ }
}
function filtered() {
  refilter();
  markSet();
  byId('shown').textContent = shownWords();
  list.scrollTop = 0;
  if (view === 'charts') drawCharts();
  else if (view === 'messages' || view === 'ladder') relist();
  remember();
}
function pick(place) {
  picked = place;
  if (place >= 0 && !lineOf.has(place)) {
    setFilter(new URLSearchParams(isQuiet(items[place], '') ? {quiet: 'all'} : {}));
    filtered();
  }
  showDetail();
  if (view !== 'messages' && view !== 'ladder') {
    if (place >= 0) show('messages');
    return;
  }
  if (mode === 'ladder') relist();  // the panel takes room from it
  if (place >= 0) reveal(lineOf.get(place));
  else draw(true);
  remember();
}
function step(by) {
  if (!shown.length) return;
  const at = picked >= 0 && lineOf.has(picked) ? lineItem[lineOf.get(picked)] : by > 0 ? -1 : shown.length;
  const next = Math.min(Math.max(at + by, 0), shown.length - 1);
  pick(shown[next]);
}
function stepRemark(by) {
  if (!shown.length) return;
  const start = picked >= 0 && lineOf.has(picked) ? lineItem[lineOf.get(picked)] : by > 0 ? -1 : shown.length;
  for (let at = start + by; at >= 0 && at < shown.length; at += by) {
    if (remarksOf(items[shown[at]])) {
      pick(shown[at]);
      return;
    }
  }
}
function goToFinding(number) {
  const found = byId(`finding-${number}`);
  if (!found) return;
  show('findings');
  for (const other of document.querySelectorAll('.finding.target')) other.classList.remove('target');
  for (let around = found.parentElement; around; around = around.parentElement) if (around.tagName === 'DETAILS') around.open = true;
  found.classList.add('target');
  found.scrollIntoView({block: 'start'});
  found.focus({preventScroll: true});
}
function goToHash() {
  const hash = location.hash.slice(1), found = /^(row|finding)-(\d{1,15})$/.exec(hash);
  quietly = true;
  if (found && found[1] === 'finding') {
    goToFinding(found[2]);
  } else if (found) {
    if (placeOfRow.has(Number(found[2]))) {
      if (view !== 'ladder') show('messages');
      pick(placeOfRow.get(Number(found[2])));
    }
  } else if (hash) {
    const query = new URLSearchParams(hash), row = query.get('row');
    setFilter(query);
    filtered();
    show(VIEWS.includes(query.get('view')) ? query.get('view') : 'messages');
    if (row !== null && placeOfRow.has(Number(row))) pick(placeOfRow.get(Number(row)));
  } else {
    show(view);
  }
  quietly = false;
}

// --- links from findings and stations

function placeOf(link) {
  const {connection, ordinal, time} = link.dataset;
  if (Number(ordinal) >= 0) return placeOfName.get(`${connection}/${ordinal}`);
  let best, least = 1e6;  // a moment of a connection: what was then
  for (const place of placesOf.get(Number(connection)) || []) {
    const off = Math.abs(items[place][TIME] - Number(time));
    if (off <= least) [best, least] = [place, off];
  }
  return best;
}
function wireFindings() {
  for (const link of document.querySelectorAll('a.ref')) {
    const place = placeOf(link);
    if (place === undefined) {
      link.classList.add('gone');
      link.removeAttribute('href');
      link.title = 'not among the messages of this page';
      continue;
    }
    if (items[place][ROW] >= 0) {
      link.href = `#row-${items[place][ROW]}`;
      link.prepend(`#${items[place][ROW]} `);
    }
    link.addEventListener('click', (event) => {
      event.preventDefault();
      show('messages');
      pick(place);
    });
  }
  const marked = new Set();
  for (const item of items) for (const [rule] of extra(item).findings || []) marked.add(`${rule} ${stationOf(item)}`);
  for (const one of document.querySelectorAll('.finding')) {
    const all = one.querySelector(':scope > .more > .all');
    if (!marked.has(`${one.dataset.rule} ${one.dataset.station}`)) continue;
    all.hidden = false;
    all.addEventListener('click', () => look({q: one.dataset.rule, station: one.dataset.station}));
  }
}
function look(values) {
  setFilter(new URLSearchParams(values));
  filtered();
  show('messages');
}

// --- keys

const KEYS = {
  '/': () => { if (byId('filter').hidden) show('messages'); field.q.focus(); field.q.select(); },
  '?': () => byId('keys').showModal(),
  n: () => onList(() => stepRemark(1)), p: () => onList(() => stepRemark(-1)),
  j: () => onList(() => step(1)), k: () => onList(() => step(-1)),
  o: () => { const other = picked >= 0 ? partnerOf(picked) : undefined; if (other !== undefined) pick(other); },
  Escape: escape,
};
const LIST_KEYS = {
  ArrowDown: () => step(1), ArrowUp: () => step(-1), PageDown: () => step(page()), PageUp: () => step(-page()),
  Home: () => step(-Infinity), End: () => step(Infinity),
  Enter: () => { if (picked >= 0) { showDetail(); detail.focus(); } },
};
function page() { return Math.max(Math.floor(list.clientHeight / ROW_HEIGHT) - 3, 1); }
function onList(action) {
  if (view !== 'messages' && view !== 'ladder') show('messages');
  action();
}
function escape() {
  if (picked >= 0 && !detail.hidden) {
    pick(-1);
    list.focus();
  } else if (field.q.value) {
    field.q.value = '';
    filtered();
  }
}
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId('keys').open) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (typing) {
    if (event.key === 'Escape') {
      if (event.target === field.q && field.q.value) { field.q.value = ''; filtered(); } else list.focus();
      event.preventDefault();
    } else if (event.key === 'Enter') {
      event.preventDefault();
      filtered();
      list.focus();
    }
    return;
  }
  if (event.target.getAttribute('role') === 'tab' && /^Arrow(Left|Right)$/.test(event.key)) {
    const next = VIEWS[(VIEWS.indexOf(view) + (event.key === 'ArrowRight' ? 1 : 4)) % 5];
    show(next);
    document.querySelector(`[data-view=${next}]`).focus();
    return;
  }
  const number = /^[1-5]$/.test(event.key) ? () => show(VIEWS[event.key - 1]) : undefined;
  const action = number || KEYS[event.key] || (event.target === list ? LIST_KEYS[event.key] : undefined);
  if (!action) return;
  event.preventDefault();
  action();
}

// --- paper

function paper() {
  const table = make('table'), head = table.createTHead().insertRow(), body = table.createTBody();
  table.id = 'paper';
  HEADS.forEach((name) => head.append(make('th', '', name)));
  shown.slice(0, MOST_PRINTED).forEach((place, at) => {
    const row = body.insertRow();
    for (const one of tableCells(at)) row.insertCell().textContent = one.textContent;
    row.lastChild.colSpan = HEADS.length + 1 - row.cells.length;
    for (const one of remarks(items[place])) row.lastChild.append(make('div', '', `${one.sign} ${one.code} ${one.text}`));
  });
  if (shown.length > MOST_PRINTED) table.createCaption().textContent = `The first ${grouped(MOST_PRINTED)} of ${grouped(shown.length)} lines; filter to print others.`;
  document.querySelector('main').append(table);
}

// --- begin

document.body.classList.add('scripted');
offerAll();
refilter();
byId('shown').textContent = shownWords();
wireFindings();
addEventListener('hashchange', goToHash);
addEventListener('keydown', pressed);
addEventListener('resize', () => { if (!byId('log').hidden) relist(); });
addEventListener('beforeprint', paper);
addEventListener('afterprint', () => byId('paper')?.remove());
list.addEventListener('scroll', () => requestAnimationFrame(() => draw(false)), {passive: true});
rowsBox.addEventListener('click', (event) => {
  const row = event.target.closest('.row');
  if (row) pick(shown[lineItem[Number(row.dataset.line)]]);
});
byId('charts').addEventListener('click', (event) => {
  const place = event.target.closest('[data-place]')?.dataset.place;
  if (place !== undefined) pick(Number(place));
});
byId('help').addEventListener('click', KEYS['?']);
byId('filter').addEventListener('submit', (event) => event.preventDefault());
byId('filter').addEventListener('reset', () => setTimeout(filtered));
byId('filter').addEventListener('input', () => {
  clearTimeout(searching);
  searching = setTimeout(filtered, SEARCH_AFTER_MS);
});
for (const tab of document.querySelectorAll('nav [role=tab]')) tab.addEventListener('click', () => show(tab.dataset.view));
for (const one of document.querySelectorAll('.only')) one.addEventListener('click', () => look({station: one.dataset.station}));
markSet();
if (!document.querySelector('.finding')) view = 'messages';
goToHash();
