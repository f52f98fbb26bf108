// The lines of the list: each item that is shown, and below it a line for each finding, problem and note.

const MOST_REMARKS = 6, MOST_LINES = 700000;
let shown = [];       // places in items
let lineItem = [];    // by line: place in shown
let lineRemark = [];  // by line: -1 for the item itself, else which remark
let lineOf = new Map();  // place in items → line
let picked = -1;      // place in items

function remarks(item) {
  const more = extra(item), found = [];
  for (const [rule, severity, text] of more.findings || []) {
    found.push({sign: '▲', style: `finding-${severity}`, code: rule, text: text, rule: rule});
  }
  for (const [code, text, path] of more.problems || []) {
    found.push({sign: '!', style: 'odd', code: code, text: path.split('/').length > 2 ? `${text} (${path})` : text});
  }
  if (more.mark || more.note) found.push({sign: '✎', style: 'note', code: more.mark || 'note', text: seen(more.note || ''), whole: more.note});
  return found;
}
function remarkCount(item) {
  const more = item[EXTRA];
  if (more === undefined) return 0;
  const count = (more.findings || []).length + (more.problems || []).length + (more.note || more.mark ? 1 : 0);
  return Math.min(count, MOST_REMARKS);
}
function refilter() {
  const test = makeTest();
  shown = [];
  items.forEach((item, place) => { if (test(item)) shown.push(place); });
  lineItem = [];
  lineRemark = [];
  lineOf = new Map();
  shown.forEach((place, at) => {
    lineOf.set(place, lineItem.length);
    lineItem.push(at);
    lineRemark.push(-1);
    const count = lineItem.length < MOST_LINES ? remarkCount(items[place]) : 0;
    for (let remark = 0; remark < count; remark += 1) {
      lineItem.push(at);
      lineRemark.push(remark);
    }
  });
}
function shownWords() {
  let messages = 0, all = 0;
  for (const place of shown) messages += items[place][KIND] !== BETWEEN ? 1 : 0;
  for (const item of items) all += item[KIND] !== BETWEEN ? 1 : 0;
  return `${grouped(messages)} of ${grouped(all)} messages, ${grouped(shown.length - messages)} events`;
}
