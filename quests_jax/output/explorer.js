// Links the map, the atoms of one structure and the list. Data: explorer.py. Text of the data is only ever shown
// by textContent, or escaped where Plotly reads tags. Plotly runs when its first drawing is asked for, and atoms are
// decoded when the first structure is opened, so that the page is there at once.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  function bytes(text) {
    const letters = atob(text), found = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) found[i] = letters.charCodeAt(i);
    return found.buffer;
  }
  const floats = (text) => new Float32Array(bytes(text));
  const integers = (text) => new Int32Array(bytes(text));
  const element = (id) => document.getElementById(id);
  // Long names of one data set often begin alike: both ends are shown.
  const short = (text) => (text.length > 32 ? `${text.slice(0, 18)}…${text.slice(-13)}` : text);
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
    "#7f7f7f", "#8c564b", "#bcbd22", "#17becf", "#9467bd"];
  const OTHERS = "#c8c8c8";
  const LEAST_SPAN = 1; // of the colors of atoms, so that equal atoms look equal
  const ROWS = 100;
  const MOST_BONDED = 1000;

  const columns = data.columns.map((c) => ({ name: c.name, values: floats(c.values), unknown: c.unknown }));
  const labels = data.labels.map((l) => ({ name: l.name, names: l.names, codes: integers(l.codes) }));
  // Names that get a color of their own, the most frequent ones; the last group holds all others.
  const groups = (l) => (l.names.length > data.groups ? l.names.slice(0, data.groups - 1).concat(data.others) : l.names);
  const formulas = data.formulas.names.length
    ? { names: data.formulas.names, codes: integers(data.formulas.codes) } : null;
  const formula = (i) => (formulas ? formulas.names[formulas.codes[i]] : "");
  const number = (value, unknown = "unknown") => (Number.isFinite(value) ? String(Number(value.toPrecision(4))) : unknown);
  const picked = new Set();
  let selected = [];
  let open = -1;
  let order = Array.from({ length: data.n }, (_, i) => i);
  let sort = { column: -1, down: false };
  let start = 0;

  // the map

  function words(i) {
    const lines = [`structure ${i} ${formula(i)}`];
    for (const c of columns) lines.push(`${c.name}: ${number(c.values[i], c.unknown)}`);
    for (const l of labels) lines.push(`${l.name}: ${l.names[l.codes[i]]}`);
    return lines;
  }
  // Colors of numbers: Viridis in 16 steps, gray where a number is unknown.
  const VIRIDIS = ["#440154", "#481a6c", "#472f7d", "#414487", "#39568c", "#31688e", "#2a788e", "#23888e", "#1f988b",
    "#22a884", "#35b779", "#54c568", "#7ad151", "#a5db36", "#d2e21b", "#fde725"];
  const rgb = (color) => [1, 3, 5].map((k) => parseInt(color.slice(k, k + 2), 16));
  const hidden = new Set(); // groups of the label that is shown
  const tip = element("map-tip");

  // What is under the pointer, in a box of its own: no text is made before it is read.
  function tell(i, left, top) {
    const frame = element("map-plot");
    tip.textContent = words(i).join("\n");
    tip.hidden = false;
    const beside = left + 14 + tip.offsetWidth < frame.clientWidth ? left + 14 : left - 14 - tip.offsetWidth;
    tip.style.left = `${Math.max(2, beside)}px`;
    tip.style.top = `${Math.max(2, Math.min(top + 14, frame.clientHeight - tip.offsetHeight - 2))}px`;
  }
  const map = scatterPlot(element("map-plot"), {
    hover: tell,
    leave() { tip.hidden = true; },
    click: (i) => show(i),
    select(found) { selected = found; refresh(); },
  });

  function drawMap() {
    const x = columns[element("map-x").value], y = columns[element("map-y").value];
    const [family, place] = element("map-color").value.split(":");
    const found = family === "column" ? colored(columns[place]) : grouped(labels[place]);
    map.show({ x: x.values, y: y.values, names: [x.name, y.name], radius: data.n > 5000 ? 2 : 3.5, ...found });
  }

  function colored(column) {
    const known = column.values.filter(Number.isFinite);
    let low = Infinity, high = -Infinity;
    for (const v of known) { low = Math.min(low, v); high = Math.max(high, v); }
    const steps = VIRIDIS.length;
    const code = (v) => (!Number.isFinite(v) ? steps : Math.min(steps - 1, Math.floor(((v - low) / (high - low || 1)) * steps)));
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.style.background = `linear-gradient(to right, ${VIRIDIS.join(",")})`;
    const text = (words) => Object.assign(document.createElement("span"), { textContent: words });
    const parts = known.length ? [text(number(low)), bar, text(number(high))] : [];
    if (known.length < data.n) parts.push(swatch(OTHERS), text(column.unknown));
    element("map-legend").replaceChildren(text(column.name), ...parts);
    return { codes: Uint8Array.from(column.values, code), palette: [...VIRIDIS, OTHERS].map(rgb), hidden: new Set() };
  }

  function swatch(color) {
    const dot = document.createElement("span");
    dot.className = "swatch";
    dot.style.background = color;
    return dot;
  }

  function grouped(label) {
    const names = groups(label), last = names.length - 1;
    const colors = names.map((_, k) => (k === last && names !== label.names ? OTHERS : COLORS[k % COLORS.length]));
    element("map-legend").replaceChildren(...names.map((name, k) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = name;
      button.setAttribute("aria-pressed", String(!hidden.has(k)));
      const words = document.createElement("span");
      words.textContent = short(name);
      button.append(swatch(colors[k]), words);
      button.addEventListener("click", () => { if (!hidden.delete(k)) hidden.add(k); drawMap(); });
      return button;
    }));
    return { codes: Uint8Array.from(label.codes, (c) => Math.min(c, last)), palette: colors.map(rgb), hidden };
  }

  function choices(select, options, value) {
    for (const [key, text] of options) {
      const option = document.createElement("option");
      option.value = key;
      option.textContent = short(text);
      select.append(option);
    }
    select.value = value;
    select.addEventListener("change", drawMap);
  }
  const axes = columns.map((c, i) => [String(i), c.name]);
  choices(element("map-x"), axes, "0");
  choices(element("map-y"), axes, String(Math.min(1, columns.length - 1)));
  const colors = labels.map((l, i) => [`label:${i}`, l.name]).concat(columns.map((c, i) => [`column:${i}`, c.name]));
  choices(element("map-color"), colors, colors[0][0]);
  element("map-color").addEventListener("input", () => hidden.clear());
  for (const name of ["pan", "box", "lasso"]) element(`map-${name}`).addEventListener("change", () => map.use(name));
  element("map-in").addEventListener("click", () => map.zoom(1 / 1.5));
  element("map-out").addEventListener("click", () => map.zoom(1.5));
  element("map-whole").addEventListener("click", () => map.reset());

  // the atoms of one structure

  let atoms = null;
  const slots = new Map();
  function decodeAtoms() {
    if (atoms || !data.atoms) return;
    atoms = {
      kept: integers(data.atoms.kept), counts: integers(data.atoms.counts),
      numbers: new Uint8Array(bytes(data.atoms.numbers)), positions: floats(data.atoms.positions),
      cells: floats(data.atoms.cells), values: data.atoms.values && floats(data.atoms.values),
    };
    let first = 0;
    atoms.kept.forEach((i, slot) => { slots.set(i, { slot, first }); first += atoms.counts[slot]; });
  }

  function cellLines(slot) {
    const c = atoms.cells.subarray(9 * slot, 9 * slot + 9);
    const x = [], y = [], z = [];
    const corner = (a, b, d) => [0, 1, 2].map((k) => a * c[k] + b * c[3 + k] + d * c[6 + k]);
    const line = (p, q) => { x.push(p[0], q[0], null); y.push(p[1], q[1], null); z.push(p[2], q[2], null); };
    for (const [s, t] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
      line(corner(0, s, t), corner(1, s, t));
      line(corner(s, 0, t), corner(s, 1, t));
      line(corner(s, t, 0), corner(s, t, 1));
    }
    return { type: "scatter3d", mode: "lines", x, y, z, hoverinfo: "skip", showlegend: false,
      line: { color: "#999", width: 2 } };
  }

  // Lines between atoms closer than 1.2 times the sum of their covalent radii, without periodic images.
  function bondLines(own, kinds) {
    const x = [], y = [], z = [];
    const at = (j) => [0, 1, 2].map((k) => atoms.positions[3 * j + k]);
    for (let a = 0; a < own.length && own.length <= MOST_BONDED; a++) {
      const p = at(own[a]);
      for (let b = a + 1; b < own.length; b++) {
        const q = at(own[b]);
        const reach = 1.2 * (kinds[a].radius + kinds[b].radius);
        if ((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2 > reach * reach) continue;
        x.push(p[0], q[0], null);
        y.push(p[1], q[1], null);
        z.push(p[2], q[2], null);
      }
    }
    return { type: "scatter3d", mode: "lines", x, y, z, hoverinfo: "skip", showlegend: false,
      line: { color: "#666", width: 3 } };
  }

  function drawAtoms(i) {
    decodeAtoms();
    const place = slots.get(i);
    const facts = element("atoms-facts");
    facts.textContent = words(i).join("; ");
    if (!place) {
      if (window.Plotly) plotly().purge("atoms-plot");
      facts.textContent += atoms ? "; the atoms of this structure are not in the page, which holds a million at most." : "";
      return Promise.resolve();
    }
    const { slot, first } = place;
    const own = Array.from({ length: atoms.counts[slot] }, (_, j) => first + j);
    const kinds = own.map((j) => data.atoms.elements[atoms.numbers[j]]);
    const values = atoms.values && own.map((j) => atoms.values[j]);
    const label = (j, k) => `atom ${k} ${kinds[k].symbol}` + (values ? `<br>${escaped(data.atoms.value_name)}: ${number(values[k])}` : "");
    const marker = { size: kinds.map((e) => Math.max(4, 50 * e.radius / Math.cbrt(own.length + 8))), line: { color: kinds.map((e) => e.color), width: 2 } };
    const known = (values || []).filter(Number.isFinite);
    const low = Math.min(...known), high = Math.max(low + LEAST_SPAN, ...known);
    if (known.length) Object.assign(marker, { color: values, colorscale: "Viridis", showscale: true, cmin: low, cmax: high,
      colorbar: { title: { text: escaped(data.atoms.value_name), side: "right" }, thickness: 10 } });
    else marker.color = kinds.map((e) => e.color);
    const points = { type: "scatter3d", mode: "markers", showlegend: false, marker,
      x: own.map((j) => atoms.positions[3 * j]), y: own.map((j) => atoms.positions[3 * j + 1]),
      z: own.map((j) => atoms.positions[3 * j + 2]), text: own.map(label), hovertemplate: "%{text}<extra></extra>" };
    const hidden = { visible: false };
    const cell = cellLines(slot);
    const sides = ["x", "y", "z"].map((k) => {
      const all = cell[k].concat(points[k]).filter((v) => v !== null);
      return Math.max(...all) - Math.min(...all) + 1;
    });
    const scale = 2.1 / Math.hypot(...sides);
    const camera = { eye: { x: 1.7, y: 1.1, z: 0.7 }, projection: { type: "orthographic" } };
    return plotly().react("atoms-plot", [points, bondLines(own, kinds), cell], { margin: { l: 0, r: 0, t: 0, b: 0 },
      scene: { aspectmode: "manual", aspectratio: { x: scale * sides[0], y: scale * sides[1], z: scale * sides[2] },
        camera, xaxis: hidden, yaxis: hidden, zaxis: hidden }, uirevision: String(i) },
      { responsive: true, displaylogo: false });
  }

  function show(i) {
    open = i;
    map.mark(i);
    element("atoms-pick").disabled = false;
    element("atoms-pick").textContent = picked.has(i) ? "Drop this structure" : "Pick this structure";
    for (const row of document.querySelectorAll("#list tbody tr")) row.classList.toggle("open", Number(row.dataset.i) === i);
    return drawAtoms(i);
  }

  // the list and the picks

  function toggle(i, wanted) {
    if (wanted) picked.add(i); else picked.delete(i);
    refresh();
  }

  function refresh() {
    element("pick-save").textContent = `Save ${picked.size} indices`;
    element("pick-save").disabled = element("pick-clear").disabled = picked.size === 0;
    element("pick-selected").textContent = `Pick selected (${selected.length})`;
    element("pick-selected").disabled = selected.length === 0;
    if (open >= 0) element("atoms-pick").textContent = picked.has(open) ? "Drop this structure" : "Pick this structure";
    drawList();
  }

  function listed() {
    const wanted = element("list-find").value.trim().toLowerCase();
    const only = element("list-picked").checked;
    return order.filter((i) => (!only || picked.has(i)) && (!wanted || formula(i).toLowerCase().includes(wanted)
      || labels.some((l) => l.names[l.codes[i]].toLowerCase().includes(wanted))));
  }

  const fields = [{ name: "structure", value: (i) => i }].concat(
    formulas ? [{ name: "formula", value: formula, text: true }] : [],
    labels.map((l) => ({ name: l.name, value: (i) => l.names[l.codes[i]], text: true })),
    columns.map((c) => ({ name: c.name, value: (i) => c.values[i], unknown: c.unknown })));

  function sortBy(place) {
    sort = { column: place, down: sort.column === place ? !sort.down : !fields[place].text && place > 0 };
    const { value, text } = fields[place];
    const sign = sort.down ? -1 : 1;
    const unknown = (v) => (text || Number.isFinite(v) ? 0 : 1);
    order.sort((a, b) => {
      const [p, q] = [value(a), value(b)];
      return unknown(p) - unknown(q) || sign * (text ? p.localeCompare(q) : p - q) || a - b;
    });
    start = 0;
    drawList();
  }

  function drawHead() {
    const row = document.createElement("tr");
    row.append(document.createElement("th"));
    fields.forEach((field, place) => {
      const cell = document.createElement("th");
      cell.textContent = field.name + (sort.column === place ? (sort.down ? " ▾" : " ▴") : "");
      cell.className = field.text ? "name" : "";
      cell.addEventListener("click", () => { sortBy(place); drawHead(); });
      row.append(cell);
    });
    document.querySelector("#list thead").replaceChildren(row);
  }

  function drawList() {
    const rows = listed();
    start = Math.max(0, Math.min(start, Math.floor((rows.length - 1) / ROWS) * ROWS));
    const shown = rows.slice(start, start + ROWS).map((i) => {
      const row = document.createElement("tr");
      row.dataset.i = i;
      row.className = i === open ? "open" : "";
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = picked.has(i);
      box.setAttribute("aria-label", `pick structure ${i}`);
      box.addEventListener("click", (event) => event.stopPropagation());
      box.addEventListener("change", () => toggle(i, box.checked));
      const first = document.createElement("td");
      first.append(box);
      row.append(first);
      for (const field of fields) {
        const cell = document.createElement("td");
        const value = field.value(i);
        cell.textContent = field.text ? short(value) : number(value, field.unknown);
        cell.className = field.text ? "name" : "";
        if (field.text) cell.title = value;
        row.append(cell);
      }
      row.addEventListener("click", () => show(i));
      return row;
    });
    document.querySelector("#list tbody").replaceChildren(...shown);
    element("list-place").textContent = rows.length
      ? `${start + 1} to ${Math.min(start + ROWS, rows.length)} of ${rows.length}` : "none";
    element("list-back").disabled = start === 0;
    element("list-next").disabled = start + ROWS >= rows.length;
  }

  element("list-back").addEventListener("click", () => { start -= ROWS; drawList(); });
  element("list-next").addEventListener("click", () => { start += ROWS; drawList(); });
  element("list-find").addEventListener("input", () => { start = 0; drawList(); });
  element("list-picked").addEventListener("change", () => { start = 0; drawList(); });
  element("atoms-pick").addEventListener("click", () => toggle(open, !picked.has(open)));
  element("pick-clear").addEventListener("click", () => { picked.clear(); refresh(); });
  element("pick-selected").addEventListener("click", () => { selected.forEach((i) => picked.add(i)); refresh(); });
  element("pick-save").addEventListener("click", () => {
    const text = Array.from(picked).sort((a, b) => a - b).join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.download = "picked_indices.txt";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });

  drawHead();
  refresh();
  drawMap();
  window.questsMap = map; // for scripts that operate the page
  document.documentElement.dataset.ready = "map";
})();
