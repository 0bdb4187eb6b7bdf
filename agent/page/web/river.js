/* The river: sources, spool, Kafka, and what flows between them. Drawn once, then its numbers and its movement change. */
function river_new() {
    const text = (x, y, kind, content, path, form) => svg("text", Object.assign({ x, y, class: kind }, path ? { "data-path": path, "data-form": form } : {}), content || "–");
    const box = (x, id) => svg("rect", { x, y: 20, width: 220, height: 130, rx: 10, id });
    return svg("svg", { class: "river", viewBox: "0 0 1000 172", role: "img", "aria-label": t("river") },
        svg("path", { id: "flow-in", d: "M232 84 H388" }), svg("path", { id: "flow-out", d: "M612 84 H768" }),
        box(10, "box-sources"), box(390, "box-spool"), box(770, "box-kafka"),
        text(26, 46, "name", t("sources")), text(26, 78, "large", "", "accept_rate", "rate"), text(26, 104, "", "", "accepted", "count"),
        text(26, 124, "name", t("accepted")),
        text(406, 46, "name", t("spool")), text(406, 78, "large", "", "held", "count"), text(406, 104, "name", t("held")),
        text(406, 134, "", "", "dropped", "count"), text(500, 134, "name", t("dropped")),
        text(786, 46, "name", "Kafka"), svg("text", { x: 846, y: 46, class: "name", id: "kafka-state" }), text(786, 78, "large", "", "deliver_rate", "rate"),
        text(786, 104, "", "", "delivered", "count"), text(786, 124, "name", t("delivered")),
        svg("polyline", { id: "line-in", points: "" }), svg("polyline", { id: "line-out", points: "" }));
}
function river_line(rates, key, x) {
    const most = Math.max(1, ...rates.map(r => Math.max(r.i, r.o)));
    return rates.map((r, i) => `${(x + i * 130 / 119).toFixed(1)},${(74 - r[key] / most * 34).toFixed(1)}`).join(" ");
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
    $r("line-in").setAttribute("points", river_line(rates, "i", 245));
    $r("line-out").setAttribute("points", river_line(rates, "o", 625));
}
