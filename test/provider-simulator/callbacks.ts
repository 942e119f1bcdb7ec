import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Notice } from './api-handler.ts';
import type { ProviderName } from './books.ts';
import type { SimulatorClock } from './clock.ts';
import {
  type CubeNotificationVariant,
  csssCallbackMd5,
  cubeNotificationSign,
  eiotclubSign,
  type JsonObject,
  type Md5Encoding,
  printJson,
} from './signatures.ts';

/** One signed message on its way. */
export interface CallbackMessage {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyText: string;
}

/** Sends one message and gives the HTTP status; rejects when there was no answer. */
export type CallbackSender = (message: CallbackMessage, timeoutMs: number) => Promise<number>;

export interface CallbackSettings {
  readonly urls: Readonly<Partial<Record<ProviderName, string>>>;
  /** Pauses between the tries of one message; one try more than pauses, then it is given up. */
  readonly retryDelaysMs: Readonly<Record<ProviderName, readonly number[]>>;
  readonly timeoutMs: number;
  /** Further sends of the same message after the first 2xx. */
  readonly repeatsAfterSuccess: number;
  /** How long a message waits before its first try. */
  readonly delayMs: number;
  /** Messages are held until this many wait, then sent newest first. 1: no reordering. */
  readonly reorderBy: number;
  /** True signs every try afresh (new timestamp, nonce, same content); false repeats the same bytes. */
  readonly resignEachTry: boolean;
  /** False: purchases send nothing by themselves, only `emit` does. */
  readonly automatic: boolean;
  /** Messages sent before this run; their ids go on from here, so that a restart repeats none. */
  readonly sentBefore: number;
}

export interface CallbackKeys {
  readonly eiotclubSecret: string;
  readonly csssSecret: string;
  readonly csssEncoding: Md5Encoding;
  readonly cubeKeyId: string;
  readonly cubeKey: string;
  readonly cubeVariant: CubeNotificationVariant;
}

export interface Delivery {
  readonly id: number;
  readonly provider: ProviderName;
  readonly body: JsonObject;
  readonly url: string;
  readonly tries: { readonly at: number; readonly status: number | null }[];
  /** The bytes of the last try. */
  lastMessage: CallbackMessage | null;
  state: 'waiting' | 'delivered' | 'given-up';
}

/** What `emit` may change about one message. */
export interface EmitOptions {
  /** Another address than the provider's configured one. */
  readonly url?: string;
  /** False sends without a signature. */
  readonly signed?: boolean;
  /** Headers added last, so they can also spoil a signature. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Callbacks {
  /** Queues one message; its delivery row, or null when no address is known for the provider. */
  emit(notice: Notice, options: EmitOptions): Delivery | null;
  setUrl(provider: ProviderName, url: string | null): void;
  readonly automatic: boolean;
  list(): readonly Delivery[];
  /** Sends what reordering holds back. */
  flush(): void;
  /** Resolves when no try is in flight. Tries that wait for their time are not waited for. */
  settled(): Promise<void>;
  stop(): void;
}

/** Rows kept at most; the oldest finished ones go first. */
const deliveriesMax = 10_000;

interface State {
  readonly deps: CallbackDeps;
  readonly urls: Map<ProviderName, string>;
  readonly deliveries: Delivery[];
  readonly plans: Map<
    Delivery,
    { readonly signed: boolean; readonly headers: Readonly<Record<string, string>> }
  >;
  readonly timers: Set<() => void>;
  readonly inFlight: Set<Promise<void>>;
  held: Delivery[];
  stopped: boolean;
  sequence: number;
}

export interface CallbackDeps {
  readonly settings: CallbackSettings;
  readonly keys: CallbackKeys;
  readonly clock: SimulatorClock;
  readonly send: CallbackSender;
}

export function createCallbacks(deps: CallbackDeps): Callbacks {
  const state: State = {
    deps,
    urls: new Map(),
    deliveries: [],
    plans: new Map(),
    timers: new Set(),
    inFlight: new Set(),
    held: [],
    stopped: false,
    sequence: deps.settings.sentBefore,
  };
  const setUrl = (provider: ProviderName, url: string | null) =>
    void (url === null ? state.urls.delete(provider) : state.urls.set(provider, url));
  for (const provider of ['eiotclub', 'linksfield-csss', 'linksfield-cube'] as const)
    setUrl(provider, deps.settings.urls[provider] ?? null);
  return {
    emit: (notice, options) => emit(state, notice, options),
    setUrl,
    automatic: deps.settings.automatic,
    list: () => [...state.deliveries],
    flush: () => release(state),
    settled: async () => {
      while (state.inFlight.size > 0) await Promise.all(state.inFlight);
    },
    stop: () => {
      state.stopped = true;
      for (const cancel of state.timers) cancel();
      state.timers.clear();
    },
  };
}

function emit(state: State, notice: Notice, options: EmitOptions): Delivery | null {
  const url = options.url ?? state.urls.get(notice.provider);
  // An order that never shows has no due time, and nobody is told of it.
  if (url === undefined || !Number.isFinite(notice.dueAt) || state.stopped) return null;
  state.sequence += 1;
  const delivery: Delivery = {
    id: state.sequence,
    provider: notice.provider,
    body: withIdentity(notice, state.sequence),
    url,
    tries: [],
    lastMessage: null,
    state: 'waiting',
  };
  state.plans.set(delivery, { signed: options.signed ?? notice.signed, headers: options.headers ?? {} });
  state.deliveries.push(delivery);
  if (state.deliveries.length > deliveriesMax) forgetOldest(state);
  const { clock, settings } = state.deps;
  const waitMs = Math.max(0, notice.dueAt - clock.now()) + settings.delayMs;
  if (waitMs > 0) later(state, waitMs, () => hold(state, delivery));
  else hold(state, delivery);
  return delivery;
}

function forgetOldest(state: State): void {
  const at = state.deliveries.findIndex((delivery) => delivery.state !== 'waiting');
  for (const gone of state.deliveries.splice(Math.max(0, at), 1)) state.plans.delete(gone);
}

/** EIOTCLUB's `id`, unless the caller set one: part of the content, so the same in every try. */
function withIdentity(notice: Notice, sequence: number): JsonObject {
  if (notice.provider !== 'eiotclub' || notice.body.id !== undefined) return notice.body;
  return { id: `sim${sequence.toString(36).padStart(21, '0')}`, ...notice.body };
}

function hold(state: State, delivery: Delivery): void {
  state.held.push(delivery);
  if (state.held.length >= state.deps.settings.reorderBy) release(state);
}

function release(state: State): void {
  const held = state.held;
  state.held = [];
  for (const delivery of held.toReversed()) start(state, delivery);
}

function later(state: State, waitMs: number, run: () => void): void {
  const cancel = state.deps.clock.setTimer(waitMs, () => {
    state.timers.delete(cancel);
    if (!state.stopped) run();
  });
  state.timers.add(cancel);
}

function start(state: State, delivery: Delivery): void {
  const running = attempt(state, delivery).finally(() => state.inFlight.delete(running));
  state.inFlight.add(running);
}

/** One try. A 2xx ends the tries, but for the repeats that the settings ask for. */
async function attempt(state: State, delivery: Delivery): Promise<void> {
  const { clock, settings, send } = state.deps;
  const at = clock.now();
  const plan = state.plans.get(delivery) ?? { signed: true, headers: {} };
  const repeat = delivery.lastMessage;
  const message =
    repeat !== null && !settings.resignEachTry
      ? repeat
      : sign(state.deps.keys, { delivery, atMs: at, ...plan });
  delivery.lastMessage = message;
  const status = await send(message, settings.timeoutMs).catch(() => null);
  delivery.tries.push({ at, status });
  if (state.stopped) return;
  if (status !== null && status >= 200 && status < 300) {
    delivery.state = 'delivered';
    const good = delivery.tries.filter(
      (made) => made.status !== null && made.status >= 200 && made.status < 300,
    );
    if (good.length <= settings.repeatsAfterSuccess) start(state, delivery);
    return;
  }
  if (delivery.state === 'delivered') return;
  const pauseMs = settings.retryDelaysMs[delivery.provider][delivery.tries.length - 1];
  if (pauseMs === undefined) delivery.state = 'given-up';
  else later(state, pauseMs, () => start(state, delivery));
}

interface SigningJob {
  readonly delivery: Delivery;
  readonly atMs: number;
  readonly signed: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

/** Signs as each provider documents it: body field, `x-lf-md5`, or `x-lf-*` headers. */
function sign(keys: CallbackKeys, job: SigningJob): CallbackMessage {
  const { delivery, atMs } = job;
  const json = { 'content-type': 'application/json' };
  const message = (body: JsonObject, headers: Readonly<Record<string, string>>): CallbackMessage => ({
    url: delivery.url,
    headers: { ...json, ...headers, ...job.headers },
    bodyText: printJson(body),
  });
  switch (delivery.provider) {
    case 'eiotclub': {
      // Five digits that differ from try to try, without chance.
      const nonce = 10_000 + ((delivery.id * 7_919 + delivery.tries.length * 104_729) % 90_000);
      const body: JsonObject = { timestamp: Math.floor(atMs / 1_000), nonce, ...delivery.body };
      return message(
        job.signed && body.sign === undefined
          ? { ...body, sign: eiotclubSign(body, keys.eiotclubSecret, 'callback') }
          : body,
        {},
      );
    }
    case 'linksfield-csss': {
      if (!job.signed) return message(delivery.body, {});
      const md5 = csssCallbackMd5(delivery.body, keys.csssSecret, keys.csssEncoding);
      return message(delivery.body, { 'x-lf-md5': md5, 'x-lf-delivery': `delivery-${delivery.id}` });
    }
    case 'linksfield-cube': {
      if (!job.signed) return message(delivery.body, {});
      const options = { key: keys.cubeKey, variant: keys.cubeVariant };
      const signature = cubeNotificationSign(delivery.body, String(atMs), options);
      return message(delivery.body, {
        'x-lf-notification-version': '1.0',
        'x-lf-algo': 'HMAC-SHA1',
        'x-lf-signature': `${keys.cubeKeyId}/${signature}`,
        'x-lf-timestamp': String(atMs),
      });
    }
  }
}

/** Sends over a fresh connection, follows no redirect, and reads the answer to its end. */
export const httpSender: CallbackSender = (message, timeoutMs) =>
  new Promise((resolve, reject) => {
    const url = new URL(message.url);
    const body = Buffer.from(message.bodyText, 'utf8');
    const headers = { ...message.headers, 'content-length': String(body.byteLength) };
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const signal = AbortSignal.timeout(timeoutMs);
    const request = send(url, { method: 'POST', headers, agent: false, signal }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', reject);
    });
    request.once('error', reject);
    request.end(body);
  });
