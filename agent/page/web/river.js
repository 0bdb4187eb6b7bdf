/* The river: sources, spool, Kafka, and what flows between them. Drawn once, then its numbers and its movement change. */
/* From left to right, or on a narrow screen from above down. */
function river_places() {
    return innerWidth < 640
        ? { view: "0 0 400 486", box: [[10, 10], [10, 176], [10, 342]], wide: 380, flow: ["M60 142 V174", "M60 308 V340"], line: [[240, 96], [240, 428]] }
        : { view: "0 0 1000 160", box: [[10, 15], [390, 15], [770, 15]], wide: 220, flow: ["M232 100 H388", "M612 100 H768"], line: [[245, 80], [625, 80]] };
}
function river_new() {
    const p = river_places(), [[ax, ay], [bx, by], [cx, cy]] = p.box;
    const text = (x, y, kind, content, path, form) => svg("text", Object.assign({ x, y, class: kind }, path ? { "data-path": path, "data-form": form } : {}), content || "–");
    const box = ([x, y], id) => svg("rect", { x, y, width: p.wide, height: 130, rx: 10, id });
    return Object.assign(svg("svg", { class: "river", viewBox: p.view, role: "img", "aria-label": t("river") },
        svg("path", { id: "flow-in", d: p.flow[0] }), svg("path", { id: "flow-out", d: p.flow[1] }),
        box(p.box[0], "box-sources"), box(p.box[1], "box-spool"), box(p.box[2], "box-kafka"),
        text(ax + 16, ay + 27, "name", t("sources")), text(ax + 16, ay + 60, "large", "", "accept_rate", "rate"), text(ax + 16, ay + 92, "", "", "accepted", "count"),
        text(ax + 16, ay + 113, "name", t("accepted")),
        text(bx + 16, by + 27, "name", t("spool")), text(bx + 16, by + 60, "large", "", "held", "count"), text(bx + 16, by + 82, "name", t("held")),
        text(bx + 16, by + 115, "", "", "dropped", "count"), text(bx + 110, by + 115, "name", t("dropped")),
        text(cx + 16, cy + 27, "name", "Kafka"), svg("text", { x: cx + 72, y: cy + 27, class: "name", id: "kafka-state" }), text(cx + 16, cy + 60, "large", "", "deliver_rate", "rate"),
        text(cx + 16, cy + 92, "", "", "delivered", "count"), text(cx + 16, cy + 113, "name", t("delivered")),
        svg("polyline", { id: "line-in", points: "" }), svg("polyline", { id: "line-out", points: "" })), { places: p });
}
function river_line(rates, key, [x, y]) {
    const most = Math.max(1, ...rates.map(r => Math.max(r.i, r.o)));
    return rates.map((r, i) => `${(x + i * 130 / 119).toFixed(1)},${(y - r[key] / most * 50).toFixed(1)}`).join(" ");
}
function river_update(root, s, rates) {
    const up = s.uplink || {}, $r = id => root.querySelector("#" + id), still = !(s.deliver_rate > 0);
    const words = up.quiet_until ? `${t("quiet")} ${clock(up.quiet_until)}` : up.paused ? t("paused") : up.state;
    const sources = (s.drivers || []).some(d => d.state !== "up");
    $r("flow-in").setAttribute("class", s.accept_rate > 0 ? "flows" : "still");
    $r("flow-out").setAttribute("class", still ? "still" : "flows");
    $r("kafka-state").textContent = words || "";
    $r("box-kafka").setAttribute("class", up.state === "up" ? "" : "bad");
    $r("box-sources").setAttribute("class", sources ? "warn" : "");
    $r("box-spool").setAttribute("class", s.dropped > 0 ? "warn" : "");
    $r("line-in").setAttribute("points", river_line(rates, "i", root.querySelector("svg.river").places.line[0]));
    $r("line-out").setAttribute("points", river_line(rates, "o", root.querySelector("svg.river").places.line[1]));
}
