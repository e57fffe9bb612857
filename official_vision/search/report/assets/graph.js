// Paints a drawing (report/drawing.py): boxes, connections as wide as they are strong, gates and their peers.

const NEUTRAL_STRENGTH = 0.4; // of a connection about which nothing is known

// onChoose(index or null) is called when a node is chosen by pointer or key; without it nodes are still.
function makeGraph(host, drawing, { onChoose = null, label = drawing.name } = {}) {
  const svg = shape("svg", { width: drawing.width, height: drawing.height, role: onChoose ? "group" : "img",
    viewBox: `0 0 ${drawing.width} ${drawing.height}`, "aria-label": `${label}. ${inWords(drawing)}`,
    class: onChoose ? null : "still" });
  const inputs = new Map();
  drawing.connections.forEach((one) => inputs.set(one.consumer, (inputs.get(one.consumer) ?? 0) + 1));
  const wires = drawing.connections.map((one) => shape("path", { class: "wire", d: one.path,
    stroke: wireColour(drawing, one.source), "data-connection": `${one.source}-${one.consumer}` }));
  const peers = drawing.gates.map((gate) => shape("path", { class: "peer-wire", d: gate.path,
    stroke: wireColour(drawing, gate.peer) }));
  const gates = drawing.connections.map((one) => shape("circle", { class: "gate", cx: one.gate[0], cy: one.gate[1],
    r: 3.6, "pointer-events": "none" }));
  const nodes = drawing.nodes.map((node) => paintNode(node, onChoose));
  svg.append(...drawing.columns.map(({ x, label: text }) => shape("text",
    { x, y: 20, "text-anchor": "middle", "font-size": 13 }, text)), ...wires, ...peers, ...gates, ...nodes);
  fitToPage(host, svg, drawing.width);
  const state = { strengths: drawing.connections.map((one) => one.strength),
    choices: drawing.connections.map((one) => (one.peer === null ? null : { peer: one.peer, sure: 1 })),
    chosen: null, gates: "all" };

  function repaint() {
    drawing.connections.forEach((one, index) => {
      const strength = state.strengths[index] ?? (inputs.get(one.consumer) === 1 ? 1 : NEUTRAL_STRENGTH);
      const isFar = state.chosen !== null && one.consumer !== state.chosen;
      wires[index].setAttribute("stroke-width", (0.6 + 5.4 * strength).toFixed(2));
      wires[index].setAttribute("stroke-opacity", ((0.1 + 0.8 * strength) * (isFar ? 0.2 : 1)).toFixed(3));
      const choice = state.choices[index];
      gates[index].setAttribute("visibility", choice ? "visible" : "hidden");
      if (!choice) return;
      gates[index].setAttribute("fill", wireColour(drawing, choice.peer));
      gates[index].setAttribute("fill-opacity", (isFar ? 0.1 : 0.25 + 0.75 * choice.sure).toFixed(3));
    });
    drawing.gates.forEach((gate, index) => {
      const choice = state.choices[gate.connection];
      const isOfChosen = drawing.connections[gate.connection].consumer === state.chosen;
      const gatesShown = isOfChosen ? state.gates !== "none" : state.gates === "all" && state.chosen === null;
      const isShown = gatesShown && choice !== null && choice.peer === gate.peer;
      peers[index].setAttribute("visibility", isShown ? "visible" : "hidden");
      if (isShown) peers[index].setAttribute("stroke-opacity", (isOfChosen ? 0.35 + 0.65 * choice.sure
        : 0.04 + 0.76 * choice.sure).toFixed(3));
    });
    nodes.forEach((node, index) => {
      node.classList.toggle("chosen", index === state.chosen);
      if (onChoose) node.setAttribute("aria-pressed", String(index === state.chosen));
    });
  }

  repaint();
  return { show(changes) { Object.assign(state, changes); repaint(); } };
}

// Shows a picture as wide as its place at most; where that makes it smaller, a button shows all of its size.
function fitToPage(host, svg, width) {
  const button = element("button", { type: "button", class: "size" });
  const label = () => { button.textContent = host.classList.contains("full") ? "Fit to the page" : "Full size"; };
  button.addEventListener("click", () => {
    host.classList.toggle("full");
    label();
  });
  host.classList.remove("full");
  label();
  host.replaceChildren(button, svg);
  const show = () => { button.hidden = width <= host.clientWidth; };
  show();
  new ResizeObserver(show).observe(host); // also when its section comes to be shown
}

function inWords(drawing) {
  const stems = drawing.nodes.filter((node) => node.is_stem).length;
  return `${drawing.nodes.length} nodes, ${stems} of them streams, and ${drawing.connections.length} connections.`;
}

// A stream's colour for what comes straight from it; what comes from blocks is grey.
function wireColour(drawing, source) {
  const node = drawing.nodes[source];
  return colour(node.is_stem ? node.streams[0] : "block");
}

function paintNode(node, onChoose) {
  const words = `Node ${node.index}, ${node.is_stem ? "stream" : `block of level ${node.level}`}: ${
    [node.heading, ...node.details].join(", ")}`;
  const group = shape("g", { class: `node${node.is_idle ? " idle" : ""}`, "data-node": node.index });
  if (onChoose) {
    filled(group, { tabindex: 0, role: "button", "aria-pressed": "false", "aria-label": words,
      onclick: () => onChoose(node.index),
      onkeydown: (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          onChoose(node.index);
        } else if (event.key === "Escape") onChoose(null);
      } }, []);
  }
  group.append(shape("rect", { class: "box", x: node.x, y: node.y, width: node.width, height: node.height, rx: 4 }));
  const part = (node.width - 8) / node.streams.length;
  node.streams.forEach((stream, index) => group.append(shape("rect", { x: node.x + 4 + index * part, y: node.y + 3,
    width: part, height: 4, fill: colour(stream) }, shape("title", {}, `fed by ${STREAM_NAMES[stream]}`))));
  const lines = [node.heading, ...node.details];
  const middle = node.y + node.height / 2 + 4;
  lines.forEach((line, index) => group.append(shape("text", { x: node.x + node.width / 2, "text-anchor": "middle",
    y: middle + (index - (lines.length - 1) / 2) * 11.5 + 3.5, "font-size": index ? 10.5 : 12.5,
    "font-weight": index ? 400 : 700 }, line)));
  return group;
}

function streamBars(streams) {
  const picture = sample({ stroke: colour("ink"), width: 0 });
  streams.forEach((stream, index) => picture.append(shape("rect", { x: (index * 30) / streams.length, y: 5,
    width: 30 / streams.length, height: 4, fill: colour(stream) })));
  return picture;
}

// What colours and lines mean, for the streams and gates that a drawing has.
function graphLegend(host, drawing) {
  const streams = [...new Set(drawing.nodes.filter((node) => node.is_stem).flatMap((node) => node.streams))];
  const entries = streams.map((stream) => ({ label: `from ${STREAM_NAMES[stream]}`,
    sample: sample({ stroke: colour(stream) }) }));
  entries.push({ label: "from a block", sample: sample({ stroke: colour("block") }) });
  entries.push({ label: "weak (0.1)", sample: sample({ stroke: colour("ink"), width: 1.1, opacity: 0.18 }) });
  entries.push({ label: "strong (0.9)", sample: sample({ stroke: colour("ink"), width: 5.5, opacity: 0.82 }) });
  if (drawing.gates.length) {
    entries.push({ label: "gate, in its peer's colour", sample: sample({ stroke: colour("ink"), width: 0, dot: 3.6 }) });
    entries.push({ label: "from a peer to the gate it opens", sample: sample({ stroke: colour("ink"), width: 1.4,
      dash: "5 4" }) });
  }
  if (drawing.nodes.some((node) => node.is_idle)) {
    entries.push({ label: "reaches the output only as a peer", sample: sample({ stroke: colour("soft"), dash: "4 3",
      square: true }) });
  }
  entries.push({ label: "bars in a box: streams that feed it", sample: streamBars(streams) });
  legend(host, entries);
}
