/* Curves of tags: asked for by columns, drawn with the least and the greatest of each; gaps stay gaps, bad quality is shown as such. */
const COLOURS = ["#1f77b4", "#c2571a", "#2f8f4e", "#8a4fb0", "#a88200", "#c0397b", "#3b9aa5", "#6b6b6b"];
const curve_key = c => `${c.source}/${c.tag}${c.labels ? "{" + c.labels + "}" : ""}`;
/* As members of an object without its braces, which is how some lists have them. */
const labels_text = labels => typeof labels === "string" ? labels : Object.keys(labels || {}).length ? Object.entries(labels).map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(",") : "";

async function curve_load(c, from_us, to_us, width) {
    const q = new URLSearchParams({ source: c.source, tag: c.tag, from_us, to_us, width });
    if (c.labels) q.set("labels", c.labels);
    return ask("/api/curve?" + q);
}
function curve_scale(parts) {
    const scales = {};
    for (const p of parts) for (const [, min, max] of p.data.columns) if (min !== null) {
        const s = scales[p.data.unit] = scales[p.data.unit] || { min, max };
        s.min = Math.min(s.min, min); s.max = Math.max(s.max, max);
    }
    for (const s of Object.values(scales)) {
        const room = (s.max - s.min || Math.abs(s.max) || 1) * 0.06;
        s.min -= room; s.max += room;
    }
    return scales;
}
function curve_axes(g, w, h, scales, from_us, to_us, ink) {
    g.fillStyle = ink; g.strokeStyle = ink; g.font = "12px system-ui, sans-serif";
    Object.entries(scales).slice(0, 2).forEach(([unit, s], side) => {
        g.textAlign = side ? "right" : "left";
        for (let i = 0; i <= 4; i++) {
            const y = 8 + (h - 30) * i / 4;
            g.globalAlpha = .18; g.beginPath(); g.moveTo(0, y); g.lineTo(w, y); g.stroke(); g.globalAlpha = 1;
            g.fillText(digits(s.max - (s.max - s.min) * i / 4, 3) + (i ? "" : " " + unit), side ? w - 4 : 4, y + (i ? -3 : 11));
        }
    });
    for (let i = 0; i < 5; i++) {
        g.textAlign = i ? i === 4 ? "right" : "center" : "left";
        g.fillText(new Date((from_us + (to_us - from_us) * i / 4) / 1000).toLocaleTimeString(language), Math.min(w - 4, 4 + (w - 8) * i / 4), h - 6);
    }
}
function curve_draw(canvas, parts, from_us, to_us) {
    const ratio = devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight, g = canvas.getContext("2d");
    const look = getComputedStyle(document.documentElement), ink = look.getPropertyValue("--soft"), bad = look.getPropertyValue("--bad"), scales = curve_scale(parts);
    canvas.width = w * ratio; canvas.height = h * ratio;
    g.scale(ratio, ratio);
    g.fillStyle = look.getPropertyValue("--ground"); g.fillRect(0, 0, w, h);
    curve_axes(g, w, h, scales, from_us, to_us, ink);
    for (const p of parts) {
        const s = scales[p.data.unit], step = w / p.data.width;
        if (!s) continue;
        const y = v => 8 + (h - 30) * (s.max - v) / (s.max - s.min);
        const usual = curve_gap(p.data.columns);
        let before = null;
        g.strokeStyle = g.fillStyle = p.colour; g.lineWidth = 1.5;
        for (const [x, min, max, first, last, , quality] of p.data.columns) {
            const px = (x + .5) * step;
            if (quality !== "good") { g.fillStyle = quality === "bad" ? bad : ink; g.fillRect(x * step, h - 22, Math.max(1, step), 4); g.fillStyle = p.colour; }
            if (min === null) { before = null; continue; }
            g.beginPath();
            if (before && x - before.x <= usual) { g.moveTo(before.px, y(before.last)); g.lineTo(px, y(first)); }
            g.moveTo(px, y(min) + .5); g.lineTo(px, y(max) - .5); g.stroke();
            before = { x, px, last };
        }
    }
}
/* How far columns of one tag usually are apart; three times that is a gap. */
function curve_gap(columns) {
    const apart = columns.slice(1).map((c, i) => c[0] - columns[i][0]).sort((a, b) => a - b);
    return apart.length ? Math.max(2, apart[Math.floor(apart.length / 2)] * 3) : 1;
}
function curve_csv(parts, from_us, to_us) {
    const quoted = s => (/[",\n]/.test(s) || /^[=+\-@]/.test(s) ? `"${String(s).replace(/"/g, '""')}"` : s);
    const rows = ["time,tag,min,max,first,last,n,quality"];
    for (const p of parts) for (const [x, ...rest] of p.data.columns)
        rows.push([new Date((from_us + (to_us - from_us) * x / p.data.width) / 1000).toISOString(), quoted(curve_key(p)), ...rest.map(v => (v === null ? "" : v))].join(","));
    return rows.join("\n") + "\n";
}
/* A picture with its chips, buttons and table. get() -> the curves wanted; take_out(key) or null. */
function curve_panel(get, range, take_out) {
    const canvas = el("canvas", { class: "chart", role: "img", height: 300 }), chips = el("div", { class: "chips" }), note = el("p", { class: "note", role: "status" });
    const rows = el("div", {}), details = el("details", {}, el("summary", {}, t("as_table")), rows);
    const panel = el("div", {}, chips, canvas, note,
        el("div", { class: "row" },
            el("button", { type: "button", "data-act": "csv", onclick: () => save("millrace.csv", new Blob([curve_csv(panel.parts, panel.from_us, panel.to_us)], { type: "text/csv" })) }, t("csv")),
            el("button", { type: "button", "data-act": "png", onclick: () => canvas.toBlob(b => save("millrace.png", b)) }, t("png"))), details);
    canvas.style.height = "300px";
    panel.parts = [];
    panel.load = async () => {
        const [from_us, to_us] = range(), wanted = get(), width = Math.max(100, Math.min(2000, Math.floor(canvas.clientWidth || 800)));
        const parts = [];
        let said = "";
        for (const [i, c] of wanted.entries()) {
            try {
                const data = await curve_load(c, from_us, to_us, width);
                parts.push({ ...c, data, colour: COLOURS[i % COLOURS.length] });
                if (data.partial) said = t("partial");
                if (!data.columns.length) said = said || `${curve_key(c)}: ${t("no_readings")}`;
            } catch (e) { said = e.message; }
        }
        if (!panel.isConnected) return;
        Object.assign(panel, { parts, from_us, to_us });
        note.textContent = said;
        chips.replaceChildren(...parts.map(p => {
            const mark = el("i"), last = p.data.columns[p.data.columns.length - 1];
            mark.style.background = p.colour;
            return el("span", { class: "chip" }, mark, theirs(curve_key(p)), last && last[4] !== null ? `${digits(last[4], 3)} ${p.data.unit}` : "",
                take_out ? el("button", { type: "button", "aria-label": `${t("close")} ${curve_key(p)}`, onclick: () => take_out(curve_key(p)) }, "×") : null);
        }));
        canvas.setAttribute("aria-label", parts.map(p => `${curve_key(p)}: ${p.data.columns.length ? "" : t("no_readings")}`).join("; ") || t("nothing"));
        curve_draw(canvas, parts, from_us, to_us);
        if (details.open) panel.list();
    };
    panel.list = () => rows.replaceChildren(table([[t("when")], [t("tag")], ["min", "n"], ["max", "n"], [t("quality")]],
        panel.parts.flatMap(p => p.data.columns.slice(-100).map(([x, min, max, , , , q]) => el("tr", {},
            cell(clock((panel.from_us + (panel.to_us - panel.from_us) * x / p.data.width) / 1000)), cell(theirs(curve_key(p))),
            cell(min === null ? "–" : digits(min, 3), "n"), cell(max === null ? "–" : digits(max, 3), "n"), cell(q))))));
    details.addEventListener("toggle", () => { if (details.open) panel.list(); });
    return panel;
}
