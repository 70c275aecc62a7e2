// A scatter plot of up to 50,000 points on a canvas: drag to pan, wheel to zoom, hover, click, box and lasso. Points are
// mixed into the pixels here, so that it needs no WebGL and a redraw takes milliseconds.
"use strict";
function scatterPlot(box, told) {
  const LEFT = 64, RIGHT = 12, TOP = 10, BOTTOM = 46; // pixels around the points
  const NEAR = 12; // pixels from the pointer to the point it means
  const STILL = 4; // pixels that a click may move
  const OPACITY = 0.8, FADED = 0.12;
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  box.append(canvas);
  let shown = null; // { x, y, names: [x, y], codes, palette, hidden, radius }
  let view = null; // [x0, x1, y0, y1] in units of the data
  let mode = "pan", chosen = null, open = -1, drag = null, asked = false, wide = 0, high = 0;

  const inside = () => ({ w: Math.max(1, wide - LEFT - RIGHT), h: Math.max(1, high - TOP - BOTTOM) });
  const atX = (v) => LEFT + ((v - view[0]) / (view[1] - view[0])) * inside().w;
  const atY = (v) => TOP + (1 - (v - view[2]) / (view[3] - view[2])) * inside().h;
  const isShown = (i) => Number.isFinite(shown.x[i]) && Number.isFinite(shown.y[i]) && !shown.hidden.has(shown.codes[i]);

  function whole() {
    const ends = (values) => {
      let low = Infinity, high = -Infinity;
      for (const v of values) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
      if (low > high) return [-1, 1];
      const room = 0.05 * (high - low) || 0.5 * Math.abs(high) || 1;
      return [low - room, high + room];
    };
    return [...ends(shown.x), ...ends(shown.y)];
  }

  function ticks(low, high, most) {
    const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s >= rough);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high && found.length < 50; k++) found.push(k * step + 0); // no −0
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const large = Math.max(Math.abs(low), Math.abs(high));
    const far = large >= 1e6 || large < 1e-4;
    const text = (v) => (far ? v.toExponential(Math.max(0, Math.ceil(Math.log10(large / step)) - 1))
      : v.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
    return found.map((v) => [v, text(v)]);
  }

  // Pixels of a disc around its center, and how much of each it covers.
  function disc(radius) {
    const dx = [], dy = [], part = [], reach = Math.ceil(radius);
    for (let y = -reach; y <= reach; y++) for (let x = -reach; x <= reach; x++) {
      const covered = Math.min(1, radius + 0.5 - Math.hypot(x, y));
      if (covered > 0) { dx.push(x); dy.push(y); part.push(covered); }
    }
    return { dx: Int32Array.from(dx), dy: Int32Array.from(dy), part: Float64Array.from(part), reach };
  }

  function mixPoints(image, ratio) {
    const { width, height, data } = image;
    const { dx, dy, part, reach } = disc(shown.radius * ratio);
    const sx = (inside().w * ratio) / (view[1] - view[0]), sy = (inside().h * ratio) / (view[3] - view[2]);
    const mix = (i, opacity) => {
      const cx = Math.round((shown.x[i] - view[0]) * sx), cy = Math.round((view[3] - shown.y[i]) * sy);
      if (!(cx > -reach && cy > -reach && cx < width + reach && cy < height + reach)) return;
      const whole = cx >= reach && cy >= reach && cx < width - reach && cy < height - reach;
      const color = shown.palette[shown.codes[i]], r = color[0], g = color[1], b = color[2];
      for (let k = 0; k < part.length; k++) {
        const px = cx + dx[k], py = cy + dy[k];
        if (!whole && (px < 0 || py < 0 || px >= width || py >= height)) continue;
        const place = 4 * (py * width + px), a = part[k] * opacity;
        data[place] += (r - data[place]) * a;
        data[place + 1] += (g - data[place + 1]) * a;
        data[place + 2] += (b - data[place + 2]) * a;
      }
    };
    for (let i = 0; i < shown.x.length; i++) if (isShown(i)) mix(i, chosen && !chosen.has(i) ? FADED : OPACITY);
    if (chosen) for (const i of chosen) if (isShown(i)) mix(i, OPACITY);
    context.putImageData(image, LEFT * ratio, TOP * ratio);
  }

  function draw() {
    asked = false;
    if (!shown || !wide) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1), { w, h } = inside();
    if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
      canvas.width = Math.round(wide * ratio);
      canvas.height = Math.round(high * ratio);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = "12px system-ui, sans-serif";
    context.strokeStyle = "#e8e8e8";
    context.fillStyle = "#333";
    context.textAlign = "center";
    for (const [v, text] of ticks(view[0], view[1], Math.max(2, w / 90))) {
      context.strokeRect(atX(v), TOP, 0, h);
      context.fillText(text, atX(v), TOP + h + 16);
    }
    context.textAlign = "right";
    for (const [v, text] of ticks(view[2], view[3], Math.max(2, h / 60))) {
      context.strokeRect(LEFT, atY(v), w, 0);
      context.fillText(text, LEFT - 6, atY(v) + 4, LEFT - 26);
    }
    context.textAlign = "center";
    context.font = "14px system-ui, sans-serif";
    context.fillText(shown.names[0], LEFT + w / 2, high - 8, w);
    context.save();
    context.translate(15, TOP + h / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(shown.names[1], 0, 0, h);
    context.restore();
    mixPoints(context.getImageData(LEFT * ratio, TOP * ratio, Math.round(w * ratio), Math.round(h * ratio)), ratio);
    context.strokeStyle = "#1b1b1b";
    if (open >= 0 && isShown(open)) {
      context.beginPath();
      context.arc(atX(shown.x[open]), atY(shown.y[open]), shown.radius + 4, 0, 2 * Math.PI);
      context.lineWidth = 2;
      context.stroke();
      context.lineWidth = 1;
    }
    if (drag && drag.path) {
      context.beginPath();
      for (const [x, y] of outline()) context.lineTo(x, y);
      context.closePath();
      context.stroke();
    }
  }
  function redraw() { if (!asked) { asked = true; requestAnimationFrame(draw); } }

  // Corners of the box or of the lasso that is being drawn.
  function outline() {
    const [a, b] = [drag.path[0], drag.path[drag.path.length - 1]];
    return mode === "lasso" ? drag.path : [a, [b[0], a[1]], b, [a[0], b[1]]];
  }

  function within(x, y, corners) {
    let odd = false;
    corners.forEach(([ax, ay], k) => {
      const [bx, by] = corners[(k + 1) % corners.length];
      if ((ay > y) !== (by > y) && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) odd = !odd;
    });
    return odd;
  }

  function nearest(px, py) {
    let best = -1, least = NEAR * NEAR;
    for (let i = 0; i < shown.x.length; i++) {
      if (!isShown(i)) continue;
      const d = (atX(shown.x[i]) - px) ** 2 + (atY(shown.y[i]) - py) ** 2;
      if (d < least) { least = d; best = i; }
    }
    return best;
  }

  function zoom(factor, px = LEFT + inside().w / 2, py = TOP + inside().h / 2) {
    const u = (px - LEFT) / inside().w, v = 1 - (py - TOP) / inside().h;
    const [x, y] = [view[0] + u * (view[1] - view[0]), view[2] + v * (view[3] - view[2])];
    view = [x - (x - view[0]) * factor, x + (view[1] - x) * factor, y - (y - view[2]) * factor, y + (view[3] - y) * factor];
    redraw();
  }

  const at = (event) => { const frame = canvas.getBoundingClientRect(); return [event.clientX - frame.left, event.clientY - frame.top]; };
  canvas.addEventListener("pointerdown", (event) => {
    if (!shown || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    const start = at(event);
    drag = { start, view: view.slice(), path: mode === "pan" ? null : [start], moved: false };
    told.leave();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!shown) return;
    const [px, py] = at(event);
    if (!drag) {
      const i = nearest(px, py);
      if (i < 0) told.leave(); else told.hover(i, px, py);
      return;
    }
    drag.moved = drag.moved || Math.hypot(px - drag.start[0], py - drag.start[1]) > STILL;
    if (drag.path) drag.path.push([px, py]);
    else if (drag.moved) {
      const [x0, x1, y0, y1] = drag.view;
      const dx = ((px - drag.start[0]) / inside().w) * (x1 - x0), dy = ((py - drag.start[1]) / inside().h) * (y1 - y0);
      view = [x0 - dx, x1 - dx, y0 + dy, y1 + dy];
    }
    redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const done = drag, corners = done.path && outline();
    drag = null;
    if (!done.moved) {
      const i = nearest(...at(event));
      if (i >= 0) told.click(i);
    } else if (done.path) {
      const found = [];
      for (let i = 0; i < shown.x.length; i++)
        if (isShown(i) && within(atX(shown.x[i]), atY(shown.y[i]), corners)) found.push(i);
      chosen = found.length ? new Set(found) : null;
      told.select(found);
    }
    redraw();
  });
  canvas.addEventListener("pointercancel", () => { drag = null; redraw(); });
  canvas.addEventListener("pointerleave", () => told.leave());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (shown) zoom(Math.exp(Math.sign(event.deltaY) * 0.2), ...at(event));
  }, { passive: false });
  new ResizeObserver(() => { wide = box.clientWidth; high = box.clientHeight; draw(); }).observe(box);
  wide = box.clientWidth;
  high = box.clientHeight;

  return {
    // Draw other points; the view stays where the axes are the same.
    show(points) {
      const stays = shown && shown.x === points.x && shown.y === points.y;
      shown = points;
      if (!stays) view = whole();
      draw();
    },
    mark(i) { open = i; redraw(); },
    use(name) { mode = name; },
    zoom,
    reset() { view = whole(); chosen = null; told.select([]); redraw(); },
    // Where point i is in the window, in pixels.
    place(i) { const frame = canvas.getBoundingClientRect(); return [frame.left + atX(shown.x[i]), frame.top + atY(shown.y[i])]; },
  };
}
