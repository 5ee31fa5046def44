// Draws every chart; sorts tables; light and dark.
data.charts.forEach((chart, index) => {
  const figure = document.getElementById(`chart-${index}`);
  if (figure) ({ heat, rows, xy })[chart.kind](figure, chart);
});

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    button?.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const x = value(a), y = value(b), nx = parseFloat(x), ny = parseFloat(y);
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = Number.isNaN(nx) || Number.isNaN(ny) ? x.localeCompare(y) : nx - ny;
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
for (const region of document.querySelectorAll(".wide")) cue(region, "Table");

const theme = document.getElementById("theme");
const apply = (value) => { document.documentElement.dataset.theme = value; theme.value = value; };
theme.addEventListener("change", () => { try { localStorage.setItem("gsmflow-theme", theme.value); } catch { /* opened from disk without storage */ } apply(theme.value); });
let kept = "auto";
try { kept = localStorage.getItem("gsmflow-theme") || "auto"; } catch { /* as above */ }
apply(kept);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
