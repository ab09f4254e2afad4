/* Band charts on uPlot: expected range, expectation, what happened; whatever lies beyond the range on its harmful side is
   vermilion. Data comes from a JSON block named by data-source; a new block (htmx swap) redraws the chart in place. */
(function () {
  'use strict';
  const charts = [];
  const NARROW = 520, GUTTER = 62;

  /* A canvas cannot read light-dark(): a probe element resolves the tokens. */
  const probe = document.createElement('i');
  probe.hidden = true;
  document.body.append(probe);
  const resolve = colour => { probe.style.color = colour; return getComputedStyle(probe).color; };
  const token = name => resolve(`var(--${name})`);
  const faint = (name, share) => resolve(`color-mix(in srgb, var(--${name}) ${share}%, transparent)`);

  const element = (tag, cls, text) => {
    const node = document.createElement(tag);
    node.className = cls;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const known = values => values.filter(value => value != null);
  const lastKnown = values => { for (let i = values.length - 1; i >= 0; i--) if (values[i] != null) return i; return -1; };

  function formatter(data) {
    const whole = new Intl.NumberFormat(data.locale, { maximumFractionDigits: 0 });
    const money = new Intl.NumberFormat(data.locale, { style: 'currency', currency: data.currency || 'EUR', maximumFractionDigits: 0, notation: 'compact' });
    return {
      percent: value => value.toFixed(1) + '\u202f%',
      latency: value => value >= 1000 ? (value / 1000).toFixed(1) + '\u00a0s' : whole.format(value) + '\u00a0ms',
      money: value => money.format(value),
      count: value => Math.abs(value) < 10 ? value.toFixed(1) : whole.format(value),
    }[data.unit];
  }
  const clockOf = zone => {
    const format = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: zone });
    return seconds => format.format(new Date(seconds * 1e3));
  };

  /* the range of y: multiples of a round step around everything drawn; counts start at zero, rates do not */
  function yRange(series, unit) {
    const values = [...known(series.y), ...known(series.lo), ...known(series.hi)];
    const low = Math.min(...values), high = Math.max(...values);
    if (unit !== 'percent') return [0, high * 1.12 || 1];
    const step = high - low > 12 ? 5 : high - low > 2 ? 1 : 0.2;
    return [Math.max(0, Math.floor((low - step * 0.3) / step) * step), Math.ceil((high + step * 0.6) / step) * step];
  }

  /* runs of consecutive points where all lines are known */
  function runs(u, columns) {
    const out = [];
    let run = null;
    for (let i = 0; i < u.data[0].length; i++) {
      if (columns.some(column => u.data[column][i] == null)) { run = null; continue; }
      if (!run) out.push(run = columns.map(() => []));
      columns.forEach((column, k) => run[k].push([u.valToPos(u.data[0][i], 'x', true), u.valToPos(u.data[column][i], 'y', true)]));
    }
    return out;
  }
  const trace = (ctx, points, start) => points.forEach((point, i) => (i || !start ? ctx.lineTo(...point) : ctx.moveTo(...point)));

  const LO = 1, HI = 2, EXPECTED = 3, ACTUAL = 4;
  function bandPlugin(worse) {
    const edge = worse === 'up' ? HI : LO;
    return { hooks: { draw: u => {
      const ctx = u.ctx, ratio = devicePixelRatio, box = u.bbox;
      const far = worse === 'up' ? box.top - 60 : box.top + box.height + 60;
      ctx.save();
      ctx.beginPath(); ctx.rect(box.left, box.top, box.width, box.height); ctx.clip();
      ctx.lineJoin = ctx.lineCap = 'round';
      ctx.fillStyle = token('band');
      runs(u, [LO, HI]).forEach(([lo, hi]) => { ctx.beginPath(); trace(ctx, hi, true); trace(ctx, lo.reverse()); ctx.fill(); });
      ctx.setLineDash([3 * ratio, 3 * ratio]); ctx.lineWidth = ratio; ctx.strokeStyle = token('expected');
      runs(u, [EXPECTED]).forEach(([line]) => { ctx.beginPath(); trace(ctx, line, true); ctx.stroke(); });
      ctx.setLineDash([]); ctx.lineWidth = 1.75 * ratio; ctx.strokeStyle = token('ink');
      runs(u, [ACTUAL]).forEach(([line]) => { ctx.beginPath(); trace(ctx, line, true); ctx.stroke(); });
      runs(u, [ACTUAL, edge]).forEach(([line, limit]) => {
        ctx.save();
        ctx.beginPath(); trace(ctx, limit, true); ctx.lineTo(limit.at(-1)[0] + 20, limit.at(-1)[1]); ctx.lineTo(limit.at(-1)[0] + 20, far); ctx.lineTo(limit[0][0], far); ctx.clip();
        ctx.beginPath(); trace(ctx, line, true); trace(ctx, [...limit].reverse()); ctx.fillStyle = faint('bad-fill', 20); ctx.fill();
        ctx.beginPath(); trace(ctx, line, true); ctx.lineWidth = 2.25 * ratio; ctx.strokeStyle = token('bad-fill'); ctx.stroke();
        ctx.restore();
      });
      ctx.restore();
      endPoint(u, edge, worse);
    } } };
  }
  function isBeyond(u, i, edge, worse) {
    const limit = u.data[edge][i], value = u.data[ACTUAL][i];
    return limit != null && value != null && (worse === 'up' ? value > limit : value < limit);
  }
  function endPoint(u, edge, worse) {
    const i = lastKnown(u.data[ACTUAL]);
    if (i < 0) return;
    const ctx = u.ctx, ratio = devicePixelRatio;
    const x = u.valToPos(u.data[0][i], 'x', true), y = u.valToPos(u.data[ACTUAL][i], 'y', true);
    ctx.beginPath(); ctx.arc(x, y, 4.5 * ratio, 0, 7); ctx.fillStyle = token('panel'); ctx.fill();
    ctx.beginPath(); ctx.arc(x, y, 3.2 * ratio, 0, 7); ctx.fillStyle = token(isBeyond(u, i, edge, worse) ? 'bad-fill' : 'ink'); ctx.fill();
  }

  /* changepoint interval and guides of changes lie under the data, the changepoint itself above it */
  function markPlugin(data, isCohort) {
    return { hooks: {
      drawClear: u => {
        const ctx = u.ctx, ratio = devicePixelRatio, box = u.bbox, at = time => u.valToPos(time, 'x', true);
        ctx.save();
        ctx.beginPath(); ctx.rect(box.left, box.top, box.width, box.height); ctx.clip();
        if (isCohort && data.cp) {
          ctx.strokeStyle = faint('bad-fill', 34); ctx.lineWidth = ratio;
          for (let x = at(data.cp.lo); x <= at(data.cp.hi); x += 3 * ratio) { ctx.beginPath(); ctx.moveTo(x, box.top); ctx.lineTo(x, box.top + box.height); ctx.stroke(); }
        }
        data.changes.forEach(change => {
          const x = Math.round(at(change.at)) + 0.5;
          ctx.beginPath(); ctx.setLineDash(change.cause ? [] : [2 * ratio, 3 * ratio]); ctx.lineWidth = (change.cause ? 1.5 : 1) * ratio;
          ctx.strokeStyle = token(change.cause ? 'k-config' : 'line-2'); ctx.moveTo(x, box.top); ctx.lineTo(x, box.top + box.height); ctx.stroke();
        });
        ctx.restore();
      },
      draw: u => {
        if (!isCohort || !data.cp || data.cp.at < u.scales.x.min) return;
        const ctx = u.ctx, ratio = devicePixelRatio, box = u.bbox, x = u.valToPos(data.cp.at, 'x', true);
        ctx.save(); ctx.beginPath(); ctx.lineWidth = 1.5 * ratio; ctx.strokeStyle = token('bad-fill'); ctx.moveTo(x, box.top + 12 * ratio); ctx.lineTo(x, box.top + box.height); ctx.stroke(); ctx.restore();
      },
    } };
  }

  function tipPlugin(clock, format, worse) {
    const edge = worse === 'up' ? HI : LO;
    let tip;
    const row = (name, text, bad) => {
      const line = element('div', 'row');
      line.append(element('span', '', name), element('b', bad ? 'bad' : '', text));
      return line;
    };
    return { hooks: {
      init: u => { tip = element('div', 'tip'); tip.hidden = true; u.over.append(tip); u.over.addEventListener('mouseleave', () => { tip.hidden = true; }); },
      setCursor: u => {
        const i = u.cursor.idx;
        tip.hidden = i == null || u.cursor.left < 0 || u.data[ACTUAL][i] == null;
        if (tip.hidden) return;
        const [x, lo, hi, expected, actual] = u.data.map(column => column[i]);
        tip.replaceChildren(element('b', '', clock(x)), row('Actual', format(actual), isBeyond(u, i, edge, worse)));
        if (expected != null) tip.append(row('Expected', format(expected)));
        if (lo != null && hi != null) tip.append(row('Range', `${format(lo)} – ${format(hi)}`));
        const left = u.cursor.left, width = tip.offsetWidth;
        tip.style.left = (left + width + 24 > u.over.clientWidth ? left - width - 12 : left + 12) + 'px';
        tip.style.top = '26px';
      },
    } };
  }

  const HIDDEN = { stroke: 'transparent', width: 0, points: { show: false } };
  const FONT = '400 11px Inter, system-ui, sans-serif';
  function options(host, data, series, marks) {
    const clock = clockOf(data.zone), format = formatter(data), narrow = host.clientWidth < NARROW;
    const first = data.x[0], last = data.x.at(-1);
    const plot = Math.max(80, host.clientWidth - 54 - GUTTER);
    const room = marks.endLabel ? Math.round((last - first) * GUTTER / plot) : 0;
    const isLast = (u, i) => i === ACTUAL;
    return {
      width: host.clientWidth, height: marks.height(narrow), padding: [8, marks.endLabel ? 2 : 20, 0, 0], legend: { show: false },
      tzDate: seconds => uPlot.tzDate(new Date(seconds * 1e3), data.zone),
      cursor: { y: false, drag: { x: true, y: false }, points: { size: 8, fill: (u, i) => isLast(u, i) ? token('panel') : 'transparent', stroke: (u, i) => isLast(u, i) ? token('ink') : 'transparent' } },
      scales: { x: { range: (u, min, max) => min > first || max < last ? [min, max] : [first, last + room] }, y: { range: () => yRange(series, data.unit) } },
      axes: [
        { stroke: () => token('ink-3'), grid: { show: false }, ticks: { stroke: () => token('line-2'), size: 4, width: 1 }, font: FONT, gap: 4, size: 26, space: narrow ? 56 : 76, incrs: [60, 300, 600, 900, 1800, 3600, 7200, 14400, 43200], values: (u, ticks) => ticks.map(clock) },
        { stroke: () => token('ink-3'), grid: { stroke: () => token('line'), width: 1 }, ticks: { show: false }, font: FONT, gap: 6, size: narrow ? 46 : 56, space: 44, values: (u, ticks) => ticks.map(tick => data.unit === 'percent' ? +tick.toFixed(1) + '\u202f%' : format(tick)) },
      ],
      series: [{}, HIDDEN, HIDDEN, HIDDEN, HIDDEN],
      plugins: [markPlugin(data, marks.cohort), bandPlugin(data.worse), tipPlugin(clock, format, data.worse)],
    };
  }
  const columns = (data, series) => [data.x, series.lo, series.hi, series.expected, series.y];

  /* tags and lanes are HTML over and under the canvas, so that they are text */
  function overlay(host, u, data, series, isCohort) {
    const format = formatter(data), clock = clockOf(data.zone), wide = host.clientWidth > 560;
    const left = time => u.over.offsetLeft + u.valToPos(time, 'x');
    const top = value => u.over.offsetTop + u.valToPos(value, 'y');
    const place = (node, x, y) => { node.style.left = x + 'px'; node.style.top = y + 'px'; host.append(node); return node; };
    if (isCohort && data.cp && data.cp.at >= data.x[0]) {
      const tag = element('div', 'flagtag', data.cp.label);
      if (wide) tag.append(element('small', '', ' · ' + data.cp.sub));
      place(tag, left(data.cp.at), u.over.offsetTop - 4);
      const over = left(data.cp.at) + tag.offsetWidth / 2 - host.clientWidth;
      if (over > 0) tag.style.left = left(data.cp.at) - over + 'px';
    }
    const i = lastKnown(series.y);
    if (i >= 0) {
      place(element('div', 'endtag' + (isBeyond(u, i, data.worse === 'up' ? HI : LO, data.worse) ? '' : ' ok'), format(series.y[i])), left(data.x[i]), top(series.y[i]));
      const expected = series.expected[i];
      if (expected != null && Math.abs(top(expected) - top(series.y[i])) > 18) place(element('div', 'endtag endtag--expected', format(expected)), left(data.x[i]), top(expected));
    }
    lane(host, wide ? 'Changes' : '', data.changes.filter(change => change.at >= data.x[0]), left, change => {
      const mark = document.querySelector(`#glyphs [data-k="${CSS.escape(change.glyph)}"] > *`).cloneNode(true);
      const nodes = [mark];
      if (change.cause) {
        mark.classList.add('solid');
        const onLeft = left(change.at) > host.clientWidth / 2;
        const label = element('span', 'lbl ' + (onLeft ? 'l' : 'r'), change.title);
        label.style.maxWidth = (onLeft ? left(change.at) - 14 : host.clientWidth - left(change.at) - 14) + 'px';
        nodes.push(label);
      }
      return nodes;
    }, clock);
    lane(host, wide ? 'Response' : '', data.responses.filter(moment => moment.at >= data.x[0]), left, moment => [element('span', 'dot ' + moment.cls)], clock);
  }
  function lane(host, name, entries, left, draw, clock) {
    const row = element('div', 'lane');
    row.append(element('span', 'lane__label', name));
    entries.forEach(entry => {
      const mark = element('span', 'ev');
      mark.style.left = left(entry.at) + 'px';
      mark.title = `${clock(entry.at)} ${entry.title}${entry.by ? ' · ' + entry.by : ''}`;
      mark.append(...draw(entry));
      row.append(mark);
    });
    host.append(row);
  }

  const KINDS = {
    incident: { height: narrow => narrow ? 230 : 300, endLabel: true, lanes: true },
    events: { height: () => 236, endLabel: false, lanes: false },
  };
  class Chart {
    constructor(host) {
      this.host = host;
      this.kind = KINDS[host.dataset.chart];
      this.key = 'cohort';
      this.read();
      this.draw();
      let width = host.clientWidth;
      new ResizeObserver(() => { if (Math.abs(host.clientWidth - width) > 1) { width = host.clientWidth; this.draw(); } }).observe(host);
      if (document.fonts) document.fonts.ready.then(() => this.draw());
    }
    read() {
      this.text = document.getElementById(this.host.dataset.source).textContent;
      this.data = JSON.parse(this.text);
    }
    refresh() {
      if (document.getElementById(this.host.dataset.source).textContent === this.text) return;
      this.read();
      this.draw();
    }
    show(key) { this.key = key; this.draw(); }
    draw() {
      const series = this.data.series[this.key] || this.data.series.cohort, isCohort = this.key === 'cohort' && this.kind.lanes;
      if (this.plot) this.plot.destroy();
      this.host.replaceChildren();
      if (!known(series.y).length) { this.host.append(element('p', 'muted', 'Too few sessions to draw a line.')); return; }
      const settings = options(this.host, this.data, series, { ...this.kind, cohort: isCohort });
      // positions are known once uPlot has laid itself out, a microtask later
      if (this.kind.lanes) settings.hooks = { ready: [u => overlay(this.host, u, this.data, series, isCohort)] };
      this.plot = new uPlot(settings, columns(this.data, series), this.host);
    }
  }

  function mountAll() {
    document.querySelectorAll('[data-chart]').forEach(host => { if (!host.fwChart) charts.push(host.fwChart = new Chart(host)); });
  }
  mountAll();
  document.addEventListener('fw:theme', () => charts.forEach(chart => chart.draw()));
  document.addEventListener('htmx:afterSettle', () => { mountAll(); charts.forEach(chart => { if (chart.host.isConnected) chart.refresh(); }); });
  document.addEventListener('click', event => {
    const button = event.target.closest('[data-series]');
    if (!button) return;
    const group = button.closest('[role="group"]');
    group.querySelectorAll('[data-series]').forEach(other => other.setAttribute('aria-pressed', String(other === button)));
    document.getElementById(group.dataset.for).fwChart.show(button.dataset.series);
  });
})();
