// Small helpers: elements, numbers in words, and tables that sort.

const STREAM_NAMES = { rgb: "RGB", flow: "flow", objects: "objects" };

// An element with attributes and children; text becomes text, never markup.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  return filled(made, attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  return filled(made, attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

function reveal(id) {
  const section = byId(id);
  section.hidden = false;
  return section;
}

function colour(name) {
  return `var(--${name})`;
}

// 1234567 -> "1.23 M"; units are named beside it.
function scaled(value) {
  if (value === null || value === undefined) return "–";
  const units = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
  for (const [size, letter] of units) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))} ${letter}`;
  }
  return String(Number(value.toPrecision(3)));
}

function fixed(value, digits = 3) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

function percent(share, digits = 1) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`;
}

// columns: {title, value(row), text(row), words}; a click on a title sorts by its column.
function makeTable(columns, rows, caption) {
  const body = element("tbody");
  const heads = columns.map((column) => element("th", { scope: "col", class: column.words ? "words" : null }));
  let sorted = null;
  let rising = false;

  function fill() {
    const order = [...rows];
    if (sorted !== null) {
      const value = columns[sorted].value;
      order.sort((a, b) => compared(value(a), value(b)) * (rising ? 1 : -1));
    }
    body.replaceChildren(...order.map((row) => element("tr", {}, ...columns.map(
      (column, index) => element(index ? "td" : "th",
        { class: column.words ? "words" : null, scope: index ? null : "row" }, column.text(row))))));
    heads.forEach((head, index) =>
      head.setAttribute("aria-sort", index !== sorted ? "none" : rising ? "ascending" : "descending"));
  }

  heads.forEach((head, index) => {
    const button = element("button", { type: "button", title: "Sort by this" }, columns[index].title);
    button.addEventListener("click", () => {
      rising = sorted === index ? !rising : false;
      sorted = index;
      fill();
    });
    head.append(button);
  });
  fill();
  const table = element("table", {}, element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...heads)), body);
  return { table, refill: fill };
}

// Missing values come last, whichever way.
function compared(a, b) {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : -1;
  if (b === null || b === undefined) return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

// entries: {label, sample}; charts may share samples.
function legend(host, entries) {
  host.replaceChildren(...entries.map(({ label, sample }) => element("span", {}, sample.cloneNode(true), label)));
}

// A short line or dot for legends.
function sample({ stroke, width = 3, dash = null, opacity = 1, dot = 0, square = false }) {
  const picture = shape("svg", { width: 30, height: 14, "aria-hidden": "true" });
  if (square) {
    picture.append(shape("rect", { x: 4, y: 1.5, width: 22, height: 11, rx: 2, fill: "none", stroke,
      "stroke-dasharray": dash, "stroke-width": 1.4 }));
    return picture;
  }
  if (width) {
    picture.append(shape("line", { x1: 1, x2: 29, y1: 7, y2: 7, stroke, "stroke-width": width,
      "stroke-dasharray": dash, "stroke-opacity": opacity }));
  }
  if (dot) picture.append(shape("circle", { cx: 15, cy: 7, r: dot, fill: stroke, "fill-opacity": opacity }));
  return picture;
}
