import type { JsonInput } from '../../shared/signing/index.ts';

/** A notification of each provider, filled with rows to at least `bytes`. */
type Fields = { readonly [key: string]: JsonInput };

export function eiotclubBody(bytes: number): Fields {
  const head = { id: '8f2b6c0e5d', event: 'PkgEffective', timestamp: '1780315200', nonce: '95977' };
  return { ...head, data: rowsTo(bytes, 200, eiotclubRow) };
}

export function cubeBody(bytes: number): Fields {
  const head = { event_type: 'usage', request_id: '8f2b6c0e5d', total: 1 };
  return { ...head, data: rowsTo(bytes, 150, cubeRow) };
}

export function csssBody(bytes: number): Fields {
  return { devices: rowsTo(bytes, 20, csssRow) };
}

const digits = (index: number): string => String(10_000_000_000 + index).slice(1);

const eiotclubRow = (index: number): Fields => ({
  iccid: `8985202${digits(index)}1`,
  orderId: 10_004_995 + index,
  packageCode: 'PKG001',
  packageName: 'Global 1GB 30 days',
  state: 1,
});

const cubeRow = (index: number): Fields => ({
  sim_id: `8985202${digits(index)}1`,
  order_id: String(10_004_995 + index),
  plan: 'LP09823222320',
  used: 12.5,
});

const csssRow = (index: number): Fields => ({
  deviceId: `8985202${digits(index)}1`,
  expireTime: '2026-11-22 00:00:00',
  warningCode: '1',
});

function rowsTo(bytes: number, head: number, row: (index: number) => Fields): readonly Fields[] {
  const rows = [row(0)];
  let size = head + JSON.stringify(row(0)).length;
  while (size < bytes) {
    const next = row(rows.length);
    rows.push(next);
    size += JSON.stringify(next).length + 1;
  }
  return rows;
}
