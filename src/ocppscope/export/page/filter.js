// What is shown: the filter of the bar, which also stands in the address.

const FIELDS = ['q', 'station', 'action', 'kind', 'side', 'only', 'quiet', 'slow', 'from', 'to'];
const MOST_CHOICES = 500;
const field = Object.fromEntries(FIELDS.map((name) => [name, byId(`f-${name}`)]));

function offer(select, words) {
  for (const word of words.slice(0, MOST_CHOICES)) {
    const option = make('option', '', word);
    option.value = word;
    select.append(option);
  }
}
function offerAll() {
  const stations = new Map(), actions = new Map(), kinds = new Set();
  for (const item of items) {
    const station = stationOf(item);
    if (station) stations.set(station, true);
    if (item[KIND] === BETWEEN) continue;
    if (item[ACTION]) actions.set(item[ACTION], true);
    kinds.add(item[KIND]);
  }
  offer(field.station, [...stations.keys()]);
  offer(field.action, [...actions.keys()].sort());
  offer(field.kind, [...kinds].sort().map((kind) => KIND_NAMES[kind]));
  offer(field.kind, ['events']);
}

// "one two" → both have to be there; quotes keep words together.
function wordsOf(text) {
  return [...text.matchAll(/["“”]([^"“”]+)["“”]|(\S+)/g)].map((found) => found[1] || found[2]);
}
function patternOf(word) { return new RegExp(word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i'); }

function timeOf(text, isEnd) {  // ns since the base; undefined if it is no time
  const found = /^(?:(\d{4}-\d\d-\d\d)[ T]?)?(?:(\d\d?):(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?Z?$/.exec(text.trim());
  if (!found || !text.trim()) return undefined;
  const [, date, hours, minutes, seconds, fraction] = found;
  const midnight = Date.parse(`${date || instant(0, 0)[0]}T00:00:00Z`) / 1000;
  const whole = midnight + Number(hours || 0) * 3600 + Number(minutes || 0) * 60 + Number(seconds || 0);
  const unit = hours === undefined ? 86400 : seconds === undefined ? 60 : fraction ? 0 : 1;
  const upTo = isEnd ? unit * NS_S - (unit ? 1 : 0) : 0;
  return Number.isNaN(whole) ? undefined : (whole - meta.base[0]) * NS_S - meta.base[1] + Number(fraction || 0) * NS_S + upTo;
}

let words = [], highlight = null;

function makeTest() {
  const value = Object.fromEntries(FIELDS.map((name) => [name, field[name].value.trim()]));
  words = wordsOf(value.q).map(patternOf);
  highlight = words.length ? new RegExp(words.map((word) => word.source).join('|'), 'gi') : null;
  const kind = Number(Object.keys(KIND_NAMES).find((number) => KIND_NAMES[number] === value.kind));
  const side = ['station', 'csms'].indexOf(value.side);
  const slow = Number(value.slow.replace(',', '.')) * NS_MS;
  const from = timeOf(value.from, false), to = timeOf(value.to, true);
  const mask = {any: 7, findings: 1, problems: 2, notes: 4}[value.only] || 0;
  return (item) => {
    const between = item[KIND] === BETWEEN;
    if (isQuiet(item, value.quiet)) return false;
    if (value.station && stationOf(item) !== value.station) return false;
    if (value.action && (between || item[ACTION] !== value.action)) return false;
    if (value.kind && (value.kind === 'events' ? !between : item[KIND] !== kind)) return false;
    if (side >= 0 && item[SIDE] !== side) return false;
    if (mask && !(remarksOf(item) & mask)) return false;
    if (slow > 0 && !(item[LATENCY] > slow)) return false;
    if (from !== undefined && item[TIME] < from) return false;
    if (to !== undefined && item[TIME] > to) return false;
    return words.every((word) => holds(item, word));
  };
}
function isQuiet(item, quiet) {
  if (item[KIND] === BETWEEN) return quiet !== 'all' && /^P[IO]NG$/.test(item[ACTION]) && !extra(item).problems;
  return quiet === 'none' && item[ACTION] === 'Heartbeat' && !remarksOf(item) && !extra(item).outcome;
}
function holds(item, word) {
  const more = extra(item);
  return word.test(item[SAID]) || word.test(item[ACTION]) || word.test(item[TEXT]) || word.test(item[ID]) ||
    word.test(stationOf(item)) || word.test(`#${item[ROW]}`) ||
    (item[EXTRA] !== undefined && (holdsAny(more.findings, word) || holdsAny(more.problems, word) ||
      word.test(more.note || '') || word.test(more.mark || '') || word.test(more.outcome || '')));
}
function holdsAny(lists, word) { return lists !== undefined && lists.some((list) => list.some((text) => word.test(text))); }

function filterHash() {
  const query = new URLSearchParams();
  for (const name of FIELDS) if (field[name].value.trim()) query.set(name, field[name].value.trim());
  return query;
}
function setFilter(query) {
  for (const name of FIELDS) {
    field[name].value = query.get(name) || '';
    if (field[name].value === '' && query.get(name) && field[name].tagName === 'SELECT') field[name].selectedIndex = 0;
  }
}
function markSet() { for (const name of FIELDS) field[name].classList.toggle('set', field[name].value.trim() !== ''); }

// Text with what was searched for marked.
function fill(element, text) {
  if (!highlight || !text) {
    element.textContent = text;
    return element;
  }
  let end = 0;
  for (const found of text.matchAll(highlight)) {
    if (!found[0]) continue;
    element.append(text.slice(end, found.index), make('mark', '', found[0]));
    end = found.index + found[0].length;
  }
  element.append(text.slice(end));
  return element;
}
