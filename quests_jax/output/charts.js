// Draws the charts of charts.py in place, each when it comes into view.
"use strict";
(function () {
  const charts = JSON.parse(document.getElementById("charts-data").textContent);
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const DASHES = { "-": "solid", "--": "dash", ":": "dot" };
  const MARKERS = { o: "circle", s: "square", D: "diamond", "^": "triangle-up", v: "triangle-down", P: "cross",
    X: "x", "*": "star", "<": "triangle-left", ">": "triangle-right", d: "diamond-tall", h: "hexagon", 8: "octagon" };

  // An axis with far values shows asinh(value / linear), which is linear near 0 and logarithmic beyond.
  const place = (spec) => (spec.linear_up_to === null ? (v) => v
    : (v) => (v === null ? null : Math.asinh(v / spec.linear_up_to)));

  function farTicks(spec) {
    const ticks = [0];
    const [low, high] = spec.limits;
    for (let size = spec.linear_up_to; size <= Math.max(Math.abs(low), Math.abs(high)); size *= 10) ticks.push(size, -size);
    return ticks.filter((tick) => tick >= low && tick <= high).sort((a, b) => a - b);
  }

  // Whether ticks at powers of ten are enough.
  function isLong(values) {
    const known = values.filter((v) => v > 0);
    return Math.max(...known) > 30 * Math.min(...known);
  }

  function axis(spec, values) {
    const at = place(spec);
    const end = (v) => (v === null ? null : spec.log ? Math.log10(v) : at(v));
    const ticks = spec.linear_up_to === null ? spec.ticks : farTicks(spec);
    const found = { title: { text: escaped(spec.title), standoff: 6 }, type: spec.log ? "log" : "linear", zeroline: false,
      automargin: true, fixedrange: true, gridcolor: "#e8e8e8", range: spec.limits.map(end), nticks: 8, exponentformat: "power" };
    if (spec.log && isLong(values)) found.dtick = 1;
    return ticks === null ? found
      : Object.assign(found, { tickvals: ticks.map(at), ticktext: ticks.map((v) => v.toLocaleString("en")) });
  }

  function trace(series, chart) {
    const [atX, atY] = [place(chart.x), place(chart.y)];
    const x = series.x.map(atX), y = series.y.map(atY);
    const common = { name: escaped(series.name), line: { color: series.color, dash: DASHES[series.dash], width: series.width } };
    if (series.look === "bars") {
      return { type: "bar", name: common.name, marker: { color: series.color }, y, x: y.map((_, i) => (x[i] + x[i + 1]) / 2),
        width: y.map((_, i) => x[i + 1] - x[i]), text: y.map((_, i) => `${series.x[i]} to ${series.x[i + 1]}`),
        textposition: "none", hovertemplate: "%{text}: %{y}<extra></extra>" };
    }
    if (series.look === "band") {
      return Object.assign(common, { type: "scatter", mode: "lines", fill: "toself", fillcolor: series.color, hoverinfo: "skip",
        line: { width: 0 }, x: x.concat(x.slice().reverse()), y: y.concat(series.top.map(atY).reverse()) });
    }
    const words = series.y.map((v, i) => `${series.x[i]}: ${v}`);
    return Object.assign(common, { type: "scatter", x, y, mode: series.look === "dots" ? "lines+markers" : "lines",
      marker: { color: series.color, symbol: MARKERS[series.marker], size: 7 }, text: words,
      hovertemplate: `%{text}<extra>${common.name}</extra>` }, series.look === "steps" ? { line: { ...common.line, shape: "vh" } } : {});
  }

  function draw(box) {
    const chart = charts[Number(box.dataset.chart)];
    const layout = { margin: { l: 10, r: 10, t: chart.title ? 32 : 10, b: 10 }, barmode: "overlay", hovermode: "closest",
      title: { text: escaped(chart.title), font: { size: 15 }, x: 0.5, y: 0.98, yanchor: "top" },
      xaxis: axis(chart.x, chart.series.flatMap((s) => s.x)), yaxis: axis(chart.y, chart.series.flatMap((s) => s.y)), showlegend: chart.series.length > 1,
      legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom" } };
    return plotly().newPlot(box, chart.series.map((series) => trace(series, chart)), layout, { displayModeBar: false, responsive: true })
      .catch((reason) => { box.textContent = `This figure could not be drawn: ${reason}`; });
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      watcher.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "300px" });
  document.querySelectorAll(".chart").forEach((box) => watcher.observe(box));
})();
