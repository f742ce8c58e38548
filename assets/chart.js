// A chart that stays: a new figure changes what is drawn, so nothing blinks, and the legend's choices remain.
// Streamlit's own chart is thrown away and drawn anew, which takes three times as long.

// Once for the whole page, though each chart has a copy of this module.
function plotly(source) {
  // The address has plotly's version, so an old copy is never wrong; Streamlit sends no date to check one by.
  window.kdPlotly ??= fetch(new URL(source, dashboard()), { cache: "force-cache" })
    .then((response) => {
      if (!response.ok) throw new Error(`the server says ${response.status}`);
      return response.text();
    })
    .then((code) => {
      // As text rather than by its address: the browser then knows what it has compiled before (0.6 s).
      document.head.append(Object.assign(document.createElement("script"), { textContent: code }));
      return window.Plotly;
    })
    .catch((error) => {
      window.kdPlotly = undefined; // the next chart tries again
      throw error;
    });
  return window.kdPlotly;
}

// Where the dashboard is, behind whatever path: Streamlit's own script is in static/js below it.
function dashboard() {
  return new URL("../../", document.querySelector('script[src*="static/js/"]').src);
}

// For each new figure again, in the same place; what it returns is called at the end.
export default function ({ data, parentElement, setTriggerValue }) {
  const ready = plotly(data.source);
  if (!data.figure) {
    ready.catch(() => {}); // fetched ahead: a chart that needs it will say so
    return;
  }
  const chart = parentElement.querySelector(".kd-chart") ?? begin(parentElement);
  const figure = JSON.parse(data.figure);
  chart.style.height = `${figure.layout.height}px`;
  chart.classList.toggle("kd-clickable", data.clickable);
  chart.setAttribute("aria-label", data.alt);
  chart.kdThemed = () => setTriggerValue("themed", true);
  chart.kdClicked = (point) => data.clickable && setTriggerValue("clicked", point.customdata);
  ready.then(
    (Plotly) => draw(Plotly, chart, figure),
    (error) => {
      chart.textContent = `What draws charts could not be loaded: ${error.message}. Reload the page.`;
    },
  );
  return () => {
    chart.kdWidth?.disconnect();
    window.Plotly?.purge(chart);
    chart.remove();
  };
}

function begin(parent) {
  const chart = document.createElement("div");
  chart.className = "kd-chart";
  chart.setAttribute("role", "img");
  // Python chooses a figure's colours: it is asked again when the theme changes, which a transition tells of.
  Object.assign(chart.style, { color: "light-dark(#000, #fff)", transition: "color 1ms" });
  chart.addEventListener("transitionend", ({ target, propertyName }) => {
    if (target === chart && propertyName === "color") chart.kdThemed();
  });
  parent.append(chart);
  return chart;
}

function draw(Plotly, chart, { data, layout }) {
  Plotly.react(chart, data, layout, { displayModeBar: false });
  if (chart.kdWidth) return;
  chart.on("plotly_click", ({ points: [point] }) => chart.kdClicked(point));
  // As wide as its place: a tab that opens, the sidebar, a phone that is turned.
  let drawn = chart.offsetWidth;
  chart.kdWidth = new ResizeObserver(() => {
    if (!chart.offsetWidth || chart.offsetWidth === drawn) return;
    drawn = chart.offsetWidth;
    Plotly.Plots.resize(chart);
  });
  chart.kdWidth.observe(chart);
}
