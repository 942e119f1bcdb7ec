import type { Json } from '../../shared/core/action.ts';
import { type EventKind, eventKinds } from '../../shared/core/webhook-event.ts';

/** What a sample is filled with. */
export interface SampleFill {
  readonly nowMs: number;
  /** An id that no other callback has. */
  readonly id: string;
  /** Five digits. */
  readonly nonce: number;
  /** An ICCID, good for each SIM field that is not given. */
  readonly sim: string;
}

/** A callback of one kind as a provider sends it, to be changed by the user's fields. */
export interface CallbackSample {
  /** The provider's own name or code. */
  readonly name: string;
  /** Kind in simhook's words; the first sample of a kind stands for it. */
  readonly kind: EventKind;
  readonly body: (fill: SampleFill) => { readonly [key: string]: Json };
  /** Short names for fields further in: `iccid` for `data.0.iccid`. */
  readonly short: Readonly<Record<string, string>>;
}

type Body = { readonly [key: string]: Json };

/** Root fields and event names. Source: protocols/eiotclub.md, sections 3, 3.1 and 3.2; cut-off field lists are inferred. */
function eiotclub(
  name: string,
  kind: EventKind,
  rest: (fill: SampleFill) => Body,
  short: Readonly<Record<string, string>> = { sim: 'iccid' },
): CallbackSample {
  return {
    name,
    kind,
    short,
    body: (fill) => ({
      event: name,
      id: fill.id,
      timestamp: Math.floor(fill.nowMs / 1_000),
      nonce: fill.nonce,
      ...rest(fill),
    }),
  };
}

const inFirstRow = {
  sim: 'data.0.iccid',
  iccid: 'data.0.iccid',
  orderId: 'data.0.orderId',
  outTradeNo: 'data.0.outTradeNo',
  packageCode: 'data.0.packageCode',
};
const inData = {
  sim: 'data.iccid',
  iccid: 'data.iccid',
  orderId: 'data.orderId',
  packageCode: 'data.packageCode',
};
const byEid = { sim: 'eid' };
const pack = { packageName: 'Global 1GB 30 days', packageCode: 'PKG001' };
const eid = '89049032000001000000000000000001';

const eiotclubSamples: readonly CallbackSample[] = [
  eiotclub('FlowAlert', 'usage-alert', ({ sim }) => ({ iccid: sim, alert_type: 1, alert_value: '98.5' })),
  eiotclub('CloudESimFlowAlert', 'usage-alert', () => ({ eid, alert_type: 1, alert_value: '98.5' }), byEid),
  eiotclub('SubPkgList', 'package-ordered', ({ sim }) => ({ data: [{ iccid: sim, ...pack }] }), inFirstRow),
  eiotclub(
    'PkgEffective',
    'package-effective',
    ({ sim }) => ({ data: { iccid: sim, ...pack, state: 1 } }),
    inData,
  ),
  eiotclub('PkgQuantityList', 'package-stopped', ({ sim }) => ({ data: [{ iccid: sim }] }), inFirstRow),
  eiotclub('CardStopped', 'card-stopped', ({ sim }) => ({ iccid: sim })),
  eiotclub('CloudESimRefund', 'refund', () => ({ eid, orderAmount: '5.00', refundAmount: '5.00' }), byEid),
  eiotclub('IMEIUnLock', 'sim-unlocked', ({ sim }) => ({ iccid: sim })),
  eiotclub('CardMovedInIMEIPool', 'sim-moved', ({ sim }) => ({ iccid: sim, plockGroupId: 1 })),
];

/**
 * CSSS publishes the bodies of the SMS and of the plan reminder; for the others only the meaning and the codes are
 * known, so their field names are those of its calls. Source: protocols/linksfield.md, section 4.
 */
const csssSamples: readonly CallbackSample[] = [
  csssOrderStatus('order-status', '1008'),
  ...['1000', '1001', '1002', '1003', '1004', '1005', '1007', '1008', '1009', '1010', '1012'].map((code) =>
    csssOrderStatus(code, code),
  ),
  {
    name: 'usage-alert',
    kind: 'usage-alert',
    short: { sim: 'device_id', iccid: 'device_id' },
    body: ({ sim, nowMs }) => ({ device_id: sim, flowUseRate: '90', event_time: String(nowMs) }),
  },
  {
    name: 'plan-reminder',
    kind: 'plan-reminder',
    short: {
      sim: 'devices.0.deviceId',
      deviceId: 'devices.0.deviceId',
      warningCode: 'devices.0.warningCode',
      expireTime: 'devices.0.expireTime',
    },
    body: ({ sim, nowMs }) => ({
      devices: [
        {
          deviceId: sim,
          expireTime: new Date(nowMs).toISOString().slice(0, 19).replace('T', ' '),
          warningCode: '1',
        },
      ],
    }),
  },
  {
    name: 'sms-uplink',
    kind: 'sms-received',
    short: { sim: 'sim_id', iccid: 'sim_id' },
    body: ({ sim, nowMs }) => ({
      partner_code: 'P123456',
      sim_id: sim,
      imsi: '460010000000001',
      message_type: 'Binary',
      text_message: 'hello',
      received_at: String(nowMs),
    }),
  },
  {
    name: 'sms-downlink',
    kind: 'sms-delivered',
    short: { sim: 'sim_id', iccid: 'sim_id' },
    body: ({ sim, nowMs }) => ({ sim_id: sim, delivery_status: 'delivered', delivered_at: String(nowMs) }),
  },
  {
    name: 'recharge',
    kind: 'recharge',
    short: { sim: 'sim_id', iccid: 'sim_id' },
    body: ({ sim, id, nowMs }) => ({
      sim_id: sim,
      recharge_id: id,
      recharge_time: String(nowMs),
      event_time: String(nowMs),
    }),
  },
];

function csssOrderStatus(name: string, code: string): CallbackSample {
  return {
    name,
    kind: 'order-status',
    short: { sim: 'device_id', iccid: 'device_id' },
    body: ({ sim, nowMs, nonce }) => ({
      order_id: `ORDER_${nonce}`,
      device_id: sim,
      status: code,
      event_time: String(nowMs),
    }),
  };
}

/** No payload of Cube is published; these use the names of its calls. Source: protocols/linksfield.md, section 6. */
function cube(name: string, kind: EventKind, rest: Body): CallbackSample {
  return {
    name,
    kind,
    short: { sim: 'sim_id', iccid: 'sim_id' },
    body: ({ sim, nowMs }) => ({ event_type: name, sim_id: sim, event_time: String(nowMs), ...rest }),
  };
}

const cubeSamples: readonly CallbackSample[] = [
  cube('usage_threshold', 'usage-alert', { usage_percent: '90' }),
  cube('renew_result', 'order-status', { order_id: 'OL-1', status: 'SUCCESS' }),
  cube('sim_status', 'sim-status', { sim_status: 'ACTIVATED' }),
  cube('async_result', 'async-result', { request_id: 'REQ-1', operation: 'Activate', result: 'SUCCESS' }),
  cube('topup', 'recharge', {}),
  cube('sms_received', 'sms-received', { text_message: 'hello' }),
];

const samples: Readonly<Record<string, readonly CallbackSample[]>> = {
  eiotclub: eiotclubSamples,
  'linksfield-csss': csssSamples,
  'linksfield-cube': cubeSamples,
};

/** Samples of a provider; none for one that has none. */
export function samplesOf(provider: string): readonly CallbackSample[] {
  return Object.hasOwn(samples, provider) ? (samples[provider] ?? []) : [];
}

/** The sample that a user names by the provider's own name or by simhook's kind; null when there is none. */
export function findSample(provider: string, name: string): CallbackSample | null {
  const known = samplesOf(provider);
  const byName = known.find((sample) => sample.name.toLowerCase() === name.toLowerCase());
  const kind = eventKinds.find((each) => each === name);
  return byName ?? known.find((sample) => sample.kind === kind) ?? null;
}
