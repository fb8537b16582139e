// Makes elements and brings shown ones to what they shall be.
//
// Whatever people or devices have written becomes a text node or an attribute that is no script:
// there is no way here to give markup.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "rect", "path", "line", "circle", "text", "g", "title"]);
const handlers = Symbol("handlers");
const ADDRESS = /^(https?:\/\/|\/(?!\/)|#|\?|$)/i;

/**
 * An element.
 *
 * @param {string} tag Its name.
 * @param {Object|null} attributes A function under `onclick` and the like is a handler; `false`,
 *   `null` and `undefined` leave the attribute out, `true` gives it without a value.
 * @param {...(Node|string|number|Array|Function|null|false)} children Text becomes text; a function
 *   gives children.
 */
export function h(tag, attributes, ...children) {
  const drawn = DRAWN.has(tag) && tag !== "title";
  const element = drawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) give(element, name, value);
  element.append(...shownOf(children));
  return element;
}

/** Bring what is shown to what shall be shown; what is the same stays, with focus and selection. */
export function morph(shown, wanted) {
  if (shown.nodeType !== wanted.nodeType || shown.nodeName !== wanted.nodeName
      || keyOf(shown) !== keyOf(wanted)) {
    shown.replaceWith(wanted);
    return;
  }
  if (shown.nodeType === Node.TEXT_NODE) {
    if (shown.data !== wanted.data) shown.data = wanted.data;
    return;
  }
  if (shown.nodeType !== Node.ELEMENT_NODE) return;
  for (const { name } of [...shown.attributes]) {
    // What the person has unfolded stays so.
    if (!wanted.hasAttribute(name) && name !== "open") shown.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  listen(shown, wanted[handlers] ?? {});
  if (shown.nodeName === "TEXTAREA") return;
  const before = [...shown.childNodes];
  const after = [...wanted.childNodes];
  after.forEach((child, index) => {
    if (index < before.length) morph(before[index], child);
    else shown.append(child);
  });
  before.slice(after.length).forEach((child) => child.remove());
}

// What is kept for the next time is a function: a node that is shown already stands where it stands.
// What is not there keeps its place, as an empty comment: `morph` goes by places, and a form behind a
// notice that comes would be another form, without what somebody has typed.
function shownOf(children) {
  return children.flat(Infinity).flatMap((child) => (typeof child === "function" ? shownOf([child()]) : [placed(child)]));
}

function placed(child) {
  const isNone = child === null || child === undefined || child === false || child === "";
  return isNone ? document.createComment("") : child;
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
}

function give(element, name, value) {
  if (name.startsWith("on")) {
    if (value) listen(element, { ...element[handlers], [name.slice(2)]: value });
  } else if (value !== false && value !== null && value !== undefined) {
    // Fail closed: an address that some device named could run a script.
    if (name === "href" && !ADDRESS.test(value)) throw new Error("no address to lead to");
    element.setAttribute(name, value === true ? "" : value);
  }
}

function listen(element, wanted) {
  const known = element[handlers] ?? {};
  for (const kind of Object.keys(wanted)) {
    if (!(kind in known)) element.addEventListener(kind, heard);
  }
  for (const kind of Object.keys(known)) {
    if (!(kind in wanted)) element.removeEventListener(kind, heard);
  }
  element[handlers] = wanted;
}

function heard(event) {
  event.currentTarget[handlers]?.[event.type]?.(event);
}
