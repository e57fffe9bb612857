// Fills the page with the report's data.

function showReport(report) {
  byId("facts").replaceChildren(...report.facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  if (report.network) showNetwork(report);
  if (report.pruning) showPruning(report);
  if (report.derived) showDerived(report);
  if (report.evolution) showEvolution(report);
  if (report.missing.length) {
    reveal("missing");
    byId("missing-list").replaceChildren(...report.missing.map((text) => element("li", {}, text)));
  }
}

showReport(JSON.parse(byId("data").textContent));
