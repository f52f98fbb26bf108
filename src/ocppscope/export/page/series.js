// What the charts show, read from the messages that pass the filter: plain numbers, no drawing.

const MOST_TRANSACTIONS = 12, MOST_READINGS = 200000;

function parsed(item) {
  try {
    const parts = JSON.parse(item[TEXT]);
    return Array.isArray(parts) ? parts : [];
  } catch {
    return [];
  }
}
function listOf(value) { return Array.isArray(value) ? value : []; }
function partOf(value) { return value !== null && typeof value === 'object' ? value : NOTHING; }

// [[time of the answer, latency, who answered, place]] and the CALLs that stayed without one.
function latencies() {
  const answered = [], silent = [];
  for (const place of shown) {
    const item = items[place];
    if (item[KIND] === BETWEEN) continue;
    if (item[LATENCY] !== null && item[KIND] !== 2) answered.push([item[TIME], item[LATENCY], item[SIDE], place]);
    else if (item[KIND] === 2 && partnerOf(place) === undefined) silent.push([item[TIME], item[SIDE], place]);
  }
  return {answered, silent};
}
function byAction(answered) {
  const actions = new Map();
  for (const [, latency, side, place] of answered) {
    const name = `${'←→'[side]} ${items[place][ACTION] || '?'}`;
    if (!actions.has(name)) actions.set(name, []);
    actions.get(name).push(latency);
  }
  const rows = [...actions].map(([name, values]) => [name, values.sort((one, other) => one - other)]);
  return rows.sort((one, other) => other[1].length - one[1].length);
}
function percentile(sorted, percent) { return sorted[Math.max(Math.ceil(sorted.length * percent / 100), 1) - 1]; }

// Station → {beats: [[time, time since the one before, place]], expected: ns or undefined}
function heartbeats() {
  const stations = new Map(), before = new Map();
  for (const place of shown) {
    const item = items[place], name = stationOf(item);
    if (item[KIND] === 3 && item[ACTION] === 'BootNotification') {
      const interval = Number(partOf(parsed(item)[2]).interval);
      if (interval > 0) entry(stations, name).expected = interval * NS_S;
    }
    if (item[KIND] !== 2 || item[ACTION] !== 'Heartbeat') continue;
    const last = before.get(item[CONNECTION]);
    if (last !== undefined) entry(stations, name).beats.push([item[TIME], item[TIME] - last, place]);
    before.set(item[CONNECTION], item[TIME]);
  }
  return [...stations].filter(([, one]) => one.beats.length);
}
function entry(stations, name) {
  if (!stations.has(name)) stations.set(name, {beats: [], expected: undefined});
  return stations.get(name);
}

// Energy and power of transactions: [{name, energy: [[time, Wh, place]], power: [[time, W, place]]}]
function transactions() {
  const found = new Map();
  let readings = 0;
  for (const place of shown) {
    const item = items[place];
    if (item[KIND] !== 2 || !/^(MeterValues|TransactionEvent|StopTransaction)$/.test(item[ACTION])) continue;
    const payload = partOf(parsed(item)[3]), info = partOf(payload.transactionInfo);
    const id = payload.transactionId ?? info.transactionId;
    if (id === undefined || typeof id === 'object') continue;
    const key = `${stationOf(item)} ${seen(String(id)).slice(0, 40)}`;
    if (!found.has(key)) found.set(key, {name: key, energy: [], power: []});
    for (const meter of [...listOf(payload.meterValue), ...listOf(payload.transactionData)]) {
      const at = timeOfMeter(partOf(meter).timestamp, item[TIME]);
      for (const sample of listOf(partOf(meter).sampledValue)) {
        if ((readings += 1) > MOST_READINGS) return ordered(found);
        addSample(found.get(key), partOf(sample), at, place);
      }
    }
  }
  return ordered(found);
}
function timeOfMeter(timestamp, otherwise) {
  const at = typeof timestamp === 'string' ? Date.parse(timestamp) : NaN;
  return Number.isNaN(at) ? otherwise : (at / 1000 - meta.base[0]) * NS_S - meta.base[1];
}
function addSample(transaction, sample, at, place) {
  const measurand = sample.measurand ?? 'Energy.Active.Import.Register', unitOf = partOf(sample.unitOfMeasure);
  if (sample.phase !== undefined || (sample.location ?? 'Outlet') !== 'Outlet') return;
  const energy = measurand === 'Energy.Active.Import.Register';
  if (!energy && measurand !== 'Power.Active.Import') return;
  const unit = String(sample.unit ?? unitOf.unit ?? (energy ? 'Wh' : 'W'));
  const value = Number(sample.value) * 10 ** (Number(unitOf.multiplier) || 0) * (unit.startsWith('k') ? 1000 : 1);
  if (Number.isFinite(value)) (energy ? transaction.energy : transaction.power).push([at, value, place]);
}
function ordered(found) {
  const kept = [...found.values()].filter((one) => one.energy.length > 1 || one.power.length > 1);
  for (const one of kept) {
    one.energy.sort((a, b) => a[0] - b[0]);
    one.power.sort((a, b) => a[0] - b[0]);
  }
  return kept.slice(0, MOST_TRANSACTIONS);
}
