// JSON as it was written: numbers keep their digits, objects their order and their double keys. Depth costs no stack.

const TOKEN = /[ \t\r\n]*("[^"\\]*(?:\\[^][^"\\]*)*"|-?\d[-+.\deE]*|true|false|null|[[\]{}:,])/y;

// A node is {key, kind: 'object' | 'array' | 'string' | 'number' | 'word', text, children}; undefined if it is no JSON.
function readJson(text) {
  const root = {kind: 'array', children: []};
  const open = [root];
  let key, afterValue = false;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const found = TOKEN.exec(text);
    if (!found) break;
    const token = found[1], holder = open[open.length - 1];
    if (token === ']' || token === '}') {
      if (holder === root || holder.kind !== (token === ']' ? 'array' : 'object')) return undefined;
      open.pop();
      afterValue = true;
    } else if (token === ',') {
      if (!afterValue) return undefined;
      afterValue = false;
    } else if (token === ':') {
      if (key === undefined) return undefined;
    } else if (holder.kind === 'object' && key === undefined) {
      if (token[0] !== '"') return undefined;
      key = token;
    } else {
      const node = {key: key, kind: kindOf(token), text: token};
      key = undefined;
      holder.children.push(node);
      afterValue = true;
      if (token === '[' || token === '{') {
        node.children = [];
        open.push(node);
        afterValue = false;
      }
    }
    if (open.length === 1 && root.children.length === 1 && afterValue) break;
  }
  const ended = /^\s*$/.test(text.slice(TOKEN.lastIndex || text.length));
  return open.length === 1 && root.children.length === 1 && ended ? root.children[0] : undefined;
}
function kindOf(token) {
  if (token === '[') return 'array';
  if (token === '{') return 'object';
  return token[0] === '"' ? 'string' : /[-\d]/.test(token[0]) ? 'number' : 'word';
}

const MOST_CHILDREN = 200, OPEN_DEPTH = 6, MOST_OPEN = 2000, MOST_SHOWN = 20000;
let opened = 0;  // nodes of this tree that are open from the start

function jsonTree(node, depth = 0) {
  if (!depth) opened = 0;
  if (!node.children || !node.children.length) return leaf(node);
  const details = make('details');
  const head = make('summary');
  addKey(head, node);
  const ends = node.kind === 'array' ? '[]' : '{}';
  head.append(ends[0], make('span', 'dim', ` ${node.children.length} `), ends[1]);
  details.append(head);
  const inside = make('div');
  details.append(inside);
  let filled = false;
  const fill = () => {
    if (filled) return;
    filled = true;
    addChildren(inside, node.children, 0, depth + 1);
  };
  if (depth < OPEN_DEPTH && opened < MOST_OPEN) {
    opened += Math.min(node.children.length, MOST_CHILDREN);
    fill();
    details.open = true;
  } else {
    details.addEventListener('toggle', fill);
  }
  return details;
}
function addChildren(inside, children, start, depth) {
  for (const child of children.slice(start, start + MOST_CHILDREN)) inside.append(jsonTree(child, depth));
  const rest = children.length - start - MOST_CHILDREN;
  if (rest <= 0) return;
  const more = make('button', '', `${grouped(rest)} more`);
  more.type = 'button';
  more.addEventListener('click', () => {
    more.remove();
    addChildren(inside, children, start + MOST_CHILDREN, depth);
  });
  inside.append(more);
}
function addKey(element, node) {
  if (node.key !== undefined) element.append(make('span', 'key', cutText(node.key, 200)), ': ');
}
function leaf(node) {
  const line = make('div', 'leaf');
  addKey(line, node);
  const empty = {array: '[]', object: '{}'}[node.kind];
  line.append(make('span', node.kind, empty || cutText(node.text, MOST_SHOWN)));
  return line;
}
function cutText(text, most) {
  return text.length <= most ? seen(text) : `${seen(text.slice(0, most))}… (${grouped(text.length)} characters)`;
}
