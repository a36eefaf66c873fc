"use strict";
// Draws the charts when they come into view, sorts and opens tables, searches, and runs the players.
const THEME = JSON.parse(document.getElementById("theme").textContent);
const FACES = JSON.parse(document.getElementById("face-strips").textContent);
const OPTIONS = { renderer: "svg", actions: false, logLevel: 1, tooltip: { theme: "page" } };
// on a narrow screen, legends take a line for each name and labels are cut earlier
const theme = (width) => ({ ...THEME, legend: { ...THEME.legend, columns: Math.max(1, Math.floor(width / 175)) },
  axis: { ...THEME.axis, labelLimit: Math.max(140, width / 4) } });
const themed = (spec, width) => ({ autosize: { type: "fit-x", contains: "padding" }, width: "container", config: theme(width), ...spec });

// ---- charts ----
function draw(box) {
  if (box.dataset.drawn) return box.drawn;
  box.dataset.drawn = "1";
  const spec = JSON.parse(box.querySelector("script").textContent);
  box.drawn = vegaEmbed(box, themed(spec, box.clientWidth), OPTIONS);
  return box.drawn;
}
const boxes = [...document.querySelectorAll(".chart")];
const seen = new IntersectionObserver((entries) => {
  for (const e of entries) if (e.isIntersecting) { seen.unobserve(e.target); draw(e.target); }
}, { rootMargin: "600px" });
boxes.forEach((box) => seen.observe(box));
// all of them in idle moments, so that a printed page has every chart
const idle = window.requestIdleCallback || ((f) => setTimeout(f, 50));
(function next(k) { if (k < boxes.length) idle(() => draw(boxes[k]).then(() => next(k + 1))); else document.body.dataset.ready = "1"; })(0);

// ---- tables ----
const number = (text) => { const m = text.replace(/,/g, "").match(/[-+]?\d*\.?\d+/); return m ? parseFloat(m[0]) : NaN; };
for (const figure of document.querySelectorAll("figure.table")) {
  const body = figure.querySelector("tbody");
  // columns of words stand on the left, and long ones may wrap
  figure.querySelectorAll("th").forEach((head, column) => {
    const cells = [...body.rows].map((r) => r.cells[column]).filter((c) => c?.textContent);
    if (!column || cells.some((c) => /^[-+]?[\d.]/.test(c.textContent))) return;
    for (const cell of [head, ...cells]) cell.classList.add("text");
    if (cells.some((c) => c.textContent.length > 28)) for (const cell of cells) cell.classList.add("words");
  });
  for (const cell of body.querySelectorAll("td")) if (cell.textContent.length > 48) cell.classList.add("words");
  const open = () => { body.querySelectorAll("tr[hidden]").forEach((r) => { r.hidden = false; }); figure.querySelector(".more")?.remove(); };
  figure.querySelector(".more")?.addEventListener("click", open);
  figure.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    figure.querySelectorAll("th").forEach((h) => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    open();
    const rows = [...body.rows], text = (r) => r.cells[column].textContent;
    const numeric = column > 0 && rows.some((r) => !Number.isNaN(number(text(r))));
    const order = numeric ? (a, b) => (number(text(a)) || 0) - (number(text(b)) || 0) : (a, b) => text(a).localeCompare(text(b), "en", { numeric: true });
    rows.sort((a, b) => (down ? -1 : 1) * order(a, b)).forEach((r) => body.append(r));
  }));
}

// ---- players ----
const players = [];
const unpack = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const SERIES = [["truth", "var(--faint)"], ["raw", "var(--c2)"], ["processed", "var(--c1)"]];

class TrackPlayer {
  constructor(figure) {
    this.figure = figure;
    this.data = JSON.parse(figure.querySelector("script").textContent);
    this.va = this.data.kind === "clip";
    this.at = 0;
    this.pick = figure.querySelector(".track");
    this.data.tracks.forEach((t, k) => this.pick.add(new Option(t.name, k)));
    this.pick.addEventListener("change", () => this.show());
    figure.querySelector(".before").addEventListener("click", () => this.step(-1));
    figure.querySelector(".after").addEventListener("click", () => this.step(1));
    const used = SERIES.filter(([name]) => name !== "processed" || this.data.recipe);
    this.series = this.toggles(".series", used.map(([name, colour]) => [name, colour]));
    this.outputs = this.toggles(".outputs", this.data.columns.map((name) => [name, ""]));
    this.area = figure.querySelector(".timeline");
    this.area.addEventListener("pointermove", (e) => this.hover(e));
    this.area.addEventListener("keydown", (e) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (move) { e.preventDefault(); this.cursor(this.at + move); }
    });
    window.addEventListener("resize", () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.draw(), 200); });
    if (this.data.tracks.length) new IntersectionObserver((entries, watch) => {
      if (entries.some((e) => e.isIntersecting)) { watch.disconnect(); this.show(); }
    }, { rootMargin: "400px" }).observe(figure);
  }
  toggles(where, names) {
    const box = this.figure.querySelector(where), checks = {};
    for (const [name, colour] of names) {
      const label = document.createElement("label"), check = document.createElement("input");
      check.type = "checkbox"; check.checked = true; checks[name] = check;
      check.addEventListener("change", () => this.draw());
      label.append(check, " ");
      if (colour) { const mark = document.createElement("i"); mark.style.background = colour; label.append(mark); }
      label.append(name); box.append(label);
    }
    return checks;
  }
  step(by) { const n = this.data.tracks.length; this.pick.value = (Number(this.pick.value) + by + n) % n; this.show(); }
  open(name) {
    const k = this.data.tracks.findIndex((t) => t.name === name);
    if (k < 0) return false;
    this.pick.value = k; this.show(); this.figure.scrollIntoView();
    return true;
  }
  show() {
    const t = (this.track = this.data.tracks[Number(this.pick.value)]);
    t.bytes ??= { truth: unpack(t.truth), raw: unpack(t.raw), processed: t.processed && unpack(t.processed), state: unpack(t.state) };
    this.at = 0;
    this.draw();
  }
  score(byte) { return byte === 255 ? null : this.data.low + byte / 250 * (1 - this.data.low); }
  truthAt(k, o) {
    const bytes = this.track.bytes.truth;
    if (this.va) return this.score(bytes[k * 2 + o]);
    const value = this.data.kind === "argmax" ? bytes[k] : bytes[k * this.data.columns.length + o];
    return value === 255 ? null : this.data.kind === "argmax" ? Number(value === o) : value;
  }
  spans(bit) {
    // stretches of time where a bit of the state is not set
    const { time, bytes } = this.track, out = [];
    for (let k = 0; k < time.length; k++) {
      if (bytes.state[k] & bit) continue;
      const end = k + 1 < time.length ? time[k + 1] : time[k] + 0.04;
      const last = out[out.length - 1];
      if (last && last.to === time[k]) last.to = end; else out.push({ from: time[k], to: end });
    }
    return out;
  }
  spec(width) {
    const names = this.data.columns, n = names.length, values = [], t = this.track;
    names.forEach((output, o) => {
      if (!this.outputs[output].checked) return;
      for (let k = 0; k < t.time.length; k++) values.push({
        output, t: t.time[k], truth: this.truthAt(k, o), raw: this.score(t.bytes.raw[k * n + o]),
        processed: t.bytes.processed ? this.score(t.bytes.processed[k * n + o]) : null,
      });
    });
    const x = { field: "t", type: "quantitative", title: "seconds", scale: { zero: false, nice: false } };
    const y = (field) => ({ field, type: "quantitative", title: null, scale: { domain: [this.data.low, 1] }, axis: { tickCount: 2 } });
    const line = (field, colour, thick) => ({
      mark: { type: "line", color: colour, strokeWidth: thick, interpolate: "linear", clip: true }, encoding: { x, y: y(field) } });
    const on = (name) => this.series[name]?.checked;
    const layer = [
      { data: { values: this.spans(1) }, mark: { type: "rect", color: "var(--line)", opacity: 0.6, clip: true },
        encoding: { x: { ...x, field: "from" }, x2: { field: "to" } } },
      { data: { values: this.spans(2).map((s) => ({ ...s, y: this.data.low })) }, mark: { type: "rule", color: "var(--faint)", strokeWidth: 4, clip: true },
        encoding: { x: { ...x, field: "from" }, x2: { field: "to" }, y: y("y") } },
    ];
    if (on("truth")) layer.push(this.va ? line("truth", "var(--faint)", 2.5)
      : { mark: { type: "area", color: "var(--faint)", opacity: 0.35, interpolate: "step", clip: true }, encoding: { x, y: y("truth") } });
    if (on("raw")) layer.push(line("raw", "var(--c2)", 1));
    if (on("processed")) layer.push(line("processed", "var(--c1)", 2));
    layer.push({ data: { values: [{}] }, mark: { type: "rule", color: "var(--accent)", clip: true }, encoding: { x: { datum: { expr: "cursor" }, type: "quantitative" } } });
    // the selection needs a unit of its own that is always there
    layer.unshift({ params: [{ name: "zoom", select: { type: "interval", encodings: ["x"], zoom: "wheel![event.shiftKey]" }, bind: "scales" }],
      mark: { type: "point", opacity: 0 }, encoding: { x, y: y("raw") } });
    return {
      config: { ...THEME, facet: { spacing: 4 }, headerRow: { labelOrient: "top", labelAnchor: "start", labelPadding: 0, labelColor: "var(--ink)", labelFontSize: 12, title: null } },
      params: [{ name: "cursor", value: t.time[this.at] }],
      data: { values },
      facet: { row: { field: "output", type: "nominal", sort: names, title: null } },
      spec: { width, height: this.va ? 110 : 34, layer },
    };
  }
  async draw() {
    if (!this.track) return;
    const ticket = (this.ticket = {});
    const width = Math.max(160, this.area.clientWidth - 46);
    this.view?.finalize();
    const made = await vegaEmbed(this.area, this.spec(width), { ...OPTIONS, tooltip: false });
    if (ticket !== this.ticket) { made.finalize(); return; }
    this.view = made.view;
    this.cursor(this.at);
  }
  hover(event) {
    const plot = this.area.querySelector(".mark-group.cell .background");
    if (!this.view || !plot) return;
    const box = plot.getBoundingClientRect(), [low, high] = this.view.scale("x").domain();
    const t = low + (event.clientX - box.left) / box.width * (high - low), { time } = this.track;
    let k = time.findIndex((v) => v >= t);
    if (k < 0) k = time.length - 1;
    if (k > 0 && t - time[k - 1] < time[k] - t) k -= 1;
    if (k !== this.at) this.cursor(k);
  }
  cursor(k) {
    const t = this.track, n = this.data.columns.length;
    this.at = Math.min(Math.max(k, 0), t.time.length - 1);
    this.view?.signal("cursor", t.time[this.at]).run();
    const state = t.bytes.state[this.at], cell = (v) => (v === null ? "" : v.toFixed(this.va ? 3 : 2));
    const first = this.at * t.step + 1, last = Math.min(first + t.step - 1, t.rows);
    const rows = this.data.columns.map((name, o) => this.outputs[name].checked && [name, this.truthAt(this.at, o),
      this.score(t.bytes.raw[this.at * n + o]), t.bytes.processed ? this.score(t.bytes.processed[this.at * n + o]) : null]).filter(Boolean);
    const lines = [["", ...rows.map((r) => r[0])],
      ["truth", ...rows.map((r) => (this.va || r[1] === null ? cell(r[1]) : r[1] ? "yes" : "no"))],
      ["raw", ...rows.map((r) => cell(r[2]))]];
    if (this.data.recipe) lines.push(["processed", ...rows.map((r) => cell(r[3]))]);
    const where = document.createElement("div");
    where.textContent = `${t.time[this.at].toFixed(2)} s, row ${first}${last > first ? ` to ${last}` : ""}` + (state & 1 ? "" : "; no label") + (state & 2 ? "" : "; no face");
    const scroll = document.createElement("div"); scroll.className = "scroll";
    const fill = (cells) => {
      const table = document.createElement("table");
      for (const [r, line] of cells.entries()) {
        const tr = table.insertRow();
        for (const text of line) { const e = document.createElement(r ? "td" : "th"); e.textContent = text; tr.append(e); }
      }
      scroll.replaceChildren(table);
    };
    this.face(t.time[this.at]);
    this.figure.querySelector(".values").replaceChildren(where, scroll);
    fill(lines);
    // upright where the outputs do not fit side by side
    if (scroll.scrollWidth > scroll.clientWidth) fill(lines[0].map((_, c) => lines.map((l) => l[c])));
  }
  face(time) {
    const box = this.figure.querySelector(".face"), t = FACES[this.track.name] ?? {};
    box.hidden = !t.faces;
    if (!t.faces) return;
    let k = t.at.findIndex((v) => v > time);
    k = k < 0 ? t.at.length - 1 : Math.max(k - 1, 0);
    const side = 112, x = k % t.columns, y = Math.floor(k / t.columns);
    box.style.cssText = `width:${side}px;height:${side}px;background-image:url(${t.faces});background-size:${side * t.columns}px auto;background-position:-${x * side}px -${y * side}px`;
  }
}
document.querySelectorAll(".player").forEach((f) => players.push(new TrackPlayer(f)));
const playerOf = (element) => { const f = element.closest(".top")?.querySelector(".player"); return players.find((p) => p.figure === f); };
for (const figure of document.querySelectorAll("figure[data-tracks]")) {
  const player = playerOf(figure), names = new Set(player?.data.tracks.map((t) => t.name));
  for (const row of figure.querySelectorAll("tbody tr")) {
    const cell = row.cells[0], name = cell.textContent;
    if (!names.has(name)) continue;
    const go = document.createElement("button");
    go.className = "go"; go.type = "button"; go.textContent = name;
    go.addEventListener("click", () => player.open(name));
    cell.replaceChildren(go);
  }
}

// ---- search ----
const search = document.querySelector("nav input"), hits = document.querySelector(".hits");
const places = [...document.querySelectorAll("main section[id]")].map((s) => {
  const top = s.closest(".top"), title = s.querySelector("h2,h3,h4").textContent;
  return { text: top === s ? title : `${top.querySelector("h2").textContent}: ${title}`, go: () => s.scrollIntoView() };
});
for (const p of players) for (const t of p.data.tracks) places.push({ text: `${p.data.task}: track ${t.name}`, go: () => p.open(t.name) });
search.addEventListener("input", () => {
  const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? places.filter((p) => words.every((w) => p.text.toLowerCase().includes(w))).slice(0, 25) : [];
  hits.hidden = !words.length;
  hits.replaceChildren(...found.map((p) => {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = "#"; link.textContent = p.text;
    link.addEventListener("click", (e) => { e.preventDefault(); p.go(); });
    item.append(link);
    return item;
  }));
  if (words.length && !found.length) hits.textContent = "Nothing of that name.";
});
if (window.innerWidth < 1200) document.querySelector(".contents").open = false;
