// What the page holds, and how numbers of it are written. Texts reach the page by textContent only.

const KIND = 0, ROW = 1, TIME = 2, CONNECTION = 3, SIDE = 4, ORDINAL = 5, ID = 6, ACTION = 7, LATENCY = 8, SAID = 9,
  TEXT = 10, SIZE = 11, PACKETS = 12, WIRE = 13, EXTRA = 14;
const BETWEEN = 10;
const KINDS = {0: '?', 2: 'CALL', 3: 'RESULT', 4: 'ERROR', 5: 'RESERR', 6: 'SEND'};
const KIND_NAMES = {0: 'UNPARSED', 2: 'CALL', 3: 'CALLRESULT', 4: 'CALLERROR', 5: 'CALLRESULTERROR', 6: 'SEND'};
const SIDES = ['station', 'CSMS'];
const NOTHING = Object.freeze({});
const NS_S = 1e9, NS_MS = 1e6;

const byId = (id) => document.getElementById(id);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const meta = JSON.parse(byId('meta').textContent);
const items = [];
for (const block of document.querySelectorAll('script.rows')) {
  for (const item of JSON.parse(block.textContent)) items.push(item);
  block.remove();
}

const placeOfName = new Map();  // "connection/ordinal" → place in items
const placeOfRow = new Map();
const placesOf = new Map();  // connection → places in items
items.forEach((item, place) => {
  if (!placesOf.has(item[CONNECTION])) placesOf.set(item[CONNECTION], []);
  placesOf.get(item[CONNECTION]).push(place);
  if (item[KIND] === BETWEEN) return;
  placeOfName.set(`${item[CONNECTION]}/${item[ORDINAL]}`, place);
  placeOfRow.set(item[ROW], place);
});
const answers = new Map();  // place of a CALL → place of its first answer
items.forEach((item, place) => {
  const call = callOf(item);
  if (call !== undefined && !answers.has(call)) answers.set(call, place);
});

function extra(item) { return item[EXTRA] || NOTHING; }
function isFailure(item) { return item[KIND] === 4 || item[KIND] === 5; }
function callOf(item) {
  const reply = extra(item).reply;
  return reply === undefined ? undefined : placeOfName.get(`${item[CONNECTION]}/${reply}`);
}
function partnerOf(place) {
  const call = callOf(items[place]);
  return call === undefined ? answers.get(place) : call;
}
function stationOf(item) {
  const known = meta.connections[item[CONNECTION]];
  return known ? known[0] : '';
}
function remarksOf(item) {
  const more = extra(item);
  return (more.findings ? 1 : 0) | (more.problems ? 2 : 0) | (more.note || more.mark ? 4 : 0);
}

// What is no printable character stands as an escape, so that no text can turn, hide or fake its surroundings.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
function seen(text) {
  return text.replace(UNPRINTABLE, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
}

function digits(number, count) { return String(number).padStart(count, '0'); }
function instant(time, decimals) {  // [date, time of day], UTC; seconds since 1970 where no calendar reaches
  const ns = meta.base[1] + time;
  const seconds = meta.base[0] + Math.floor(ns / NS_S);
  const rest = ((ns % NS_S) + NS_S) % NS_S;
  const fraction = digits(Math.floor(rest / 10 ** (9 - decimals)), decimals);
  const day = new Date(seconds * 1000);
  if (Number.isNaN(day.getTime())) return ['', `@${seconds}.${fraction}`];
  const words = day.toISOString().split('T');
  return [words[0], `${words[1].slice(0, 8)}.${fraction}`];
}
function clock(time) { return instant(time, 3)[1]; }
function stamp(time, decimals = 6) { return instant(time, decimals).join(' ').trim(); }

function span(ns) {
  if (ns < 0) return `-${span(-ns)}`;
  if (ns < 999500) return `${Math.round(ns / 1000)}µs`;
  if (ns < 9.95e6) return `${(ns / NS_MS).toFixed(1)}ms`;
  if (ns < 999.5e6) return `${Math.round(ns / NS_MS)}ms`;
  if (ns < 9.995e9) return `${(ns / NS_S).toFixed(2)}s`;
  if (ns < 59.95e9) return `${(ns / NS_S).toFixed(1)}s`;
  const minutes = Math.floor(ns / 6e10);
  if (minutes < 60) return `${minutes}m${digits(Math.floor(ns / NS_S) % 60, 2)}s`;
  if (minutes < 2880) return `${Math.floor(minutes / 60)}h${digits(minutes % 60, 2)}m`;
  return `${Math.floor(minutes / 1440)}d${digits(Math.floor(minutes / 60) % 24, 2)}h`;
}
function size(count) {
  if (count < 10000) return `${count}B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(1)}K` : `${(count / 1e6).toFixed(1)}M`;
}
function grouped(count) { return count.toLocaleString('en'); }
