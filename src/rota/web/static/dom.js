// Elements from values. Text only ever becomes text: nothing that comes from a cluster is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function set(node, props) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, own] of Object.entries(value)) node.style.setProperty(key, own);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}

function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  set(node, props);
  return add(node, children);
}

export function s(tag, props, ...children) {
  const node = document.createElementNS(SVG, tag);
  set(node, props);
  return add(node, children);
}

export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

// Puts text into a node only if it is another: what is selected or read aloud is left alone.
export function put(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function mark(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

// Keeps one element for each item, in order; of items with the same key the first, second … stay themselves.
// `make(item)` gives {node, update(item)}.
export class Rows {
  constructor(parent, keyOf, make) {
    this.parent = parent;
    this.keyOf = keyOf;
    this.make = make;
    this.known = new Map();
  }

  show(items) {
    const before = this.known;
    this.known = new Map();
    let place = this.parent.firstChild;
    for (const item of items) {
      let key = this.keyOf(item);
      while (this.known.has(key)) key += "\n";
      const row = before.get(key) ?? this.make(item);
      before.delete(key);
      row.update(item);
      this.known.set(key, row);
      if (row.node === place) place = place.nextSibling;
      else this.parent.insertBefore(row.node, place);
    }
    for (const row of before.values()) row.node.remove();
  }

  get(key) {
    return this.known.get(key);
  }
}

export function announce(words) {
  put(document.getElementById("said"), words);
}
