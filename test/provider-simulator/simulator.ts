import { generateKeyPairSync } from 'node:crypto';
import type { ApiHandler, ApiReply, ApiRequest, Handled, Notice, Terms } from './api-handler.ts';
import {
  addPackage,
  addSim,
  type Books,
  createBooks,
  file,
  findOrder,
  findPackage,
  findSim,
  type NewSim,
  nextNumber,
  noteRequest,
  type OrderRecord,
  type PackageInfo,
  type ProviderName,
  type Purchase,
  phaseOf,
  priceOf,
  providerNames,
  type RateLimit,
  type RequestRow,
  undo,
  visibleOrders,
} from './books.ts';
import {
  type CallbackSender,
  type CallbackSettings,
  type Callbacks,
  createCallbacks,
  type Delivery,
  type EmitOptions,
  httpSender,
} from './callbacks.ts';
import { realClock, type SimulatorClock } from './clock.ts';
import { createEiotclub, recordRow } from './eiotclub.ts';
import { createFaults, type Exchange, type Faults, plainExchange, playFault } from './faults.ts';
import { createHttpShell, type HttpShell } from './http-server.ts';
import { createCsss, orderStatusNotice } from './linksfield-csss.ts';
import { createCube } from './linksfield-cube.ts';
import type { CubeNotificationVariant, JsonObject, Md5Encoding } from './signatures.ts';

const keyPair = generateKeyPairSync('rsa', {
  modulusLength: 1024,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});

/** Accounts and secrets of a simulator that is given none. Invented, good on this machine only. */
export const simulatorDefaults = {
  eiotclub: {
    appkey: '000001',
    secret: 'sim-eiotclub-api-secret',
    callbackSecret: 'sim-eiotclub-callback-secret',
  },
  csss: {
    accessCode: 'P000270',
    secret: 'sim-csss-api-secret',
    callbackSecret: 'sim-csss-callback-secret',
  },
  cube: {
    keyId: '0123456789abcdef0123456789abcdef',
    publicKeyPem: keyPair.publicKey,
    privateKeyPem: keyPair.privateKey,
    notificationKeyId: 'fedcba9876543210fedcba9876543210',
    /** Hex digits, as the console shows a notification key value. */
    notificationKey: '00112233445566778899aabbccddeeff',
  },
} as const;

/** Packages on offer from the start. Codes and names of the seeds; prices invented. Amounts are minor units. */
export const defaultPackages: readonly PackageInfo[] = [
  eiotclubPackage('PKG001', 'Global 1GB 30 days', 500, 1_024),
  eiotclubPackage('PKG003', 'Global 3GB 30 days', 1_200, 3_072),
  csssPackage('DP20190726001274', 'C_M_0_P_中国20M不限速月套餐', {
    type: '2',
    priceMinor: 300,
    days: 30,
    dataMb: 20,
  }),
  csssPackage('PACKAGE20180428000007', '亚洲12国/地区产品二 30m/月', {
    type: '2',
    priceMinor: 450,
    days: 30,
    dataMb: 30,
  }),
  csssPackage('DP20201218003915', 'T_T_T_0_P_S_中国100G/365天套餐', {
    type: '1',
    priceMinor: 9_900,
    days: 365,
    dataMb: 102_400,
  }),
  cubePackage('LP09823222320', 'Basic 30M', 200, 30),
  cubePackage('LP20230619004077', 'Unlimited', 900, null),
  cubePackage('CP-6HPXRQI88QSM', 'Renewal', 100, 30),
];

function eiotclubPackage(code: string, name: string, priceMinor: number, dataMb: number): PackageInfo {
  return { provider: 'eiotclub', code, name, type: '2', priceMinor, currency: 'USD', days: 30, dataMb };
}

function csssPackage(
  code: string,
  name: string,
  plan: {
    readonly type: string;
    readonly priceMinor: number;
    readonly days: number;
    readonly dataMb: number;
  },
): PackageInfo {
  return { provider: 'linksfield-csss', code, name, currency: 'CNY', ...plan };
}

function cubePackage(code: string, name: string, priceMinor: number, dataMb: number | null): PackageInfo {
  return {
    provider: 'linksfield-cube',
    code,
    name,
    type: '1',
    priceMinor,
    currency: 'CNY',
    days: 30,
    dataMb,
  };
}

export interface SimulatorOptions {
  readonly clock?: SimulatorClock;
  readonly unknownSims?: 'create' | 'refuse';
  readonly packages?: readonly PackageInfo[];
  readonly wallets?: Partial<
    Record<ProviderName, { readonly currency: string; readonly balanceMinor: number }>
  >;
  readonly accounts?: {
    readonly eiotclub?: Partial<Record<keyof typeof simulatorDefaults.eiotclub, string>>;
    readonly csss?: Partial<Record<keyof typeof simulatorDefaults.csss, string>>;
    readonly cube?: Partial<Record<keyof typeof simulatorDefaults.cube, string>>;
  };
  /** Further secrets (EIOTCLUB, CSSS) or public keys (Cube) that requests may be signed for, for rotations. */
  readonly alsoAccepts?: Partial<Record<ProviderName, readonly string[]>>;
  /** Off unless given. Documented: EIOTCLUB 10/s, Cube 10/s and 5,000/day; CSSS unknown. */
  readonly rateLimits?: Partial<Record<ProviderName, Partial<RateLimit>>>;
  /** Cube's requests at once; 3 unless given, null for no limit. */
  readonly cubeConnectionsMax?: number | null;
  /** How far a request's timestamp may be off. Cube: 10 minutes unless given. The others: not checked unless given. */
  readonly timestampToleranceMs?: Partial<Record<ProviderName, number>>;
  /** Zone of EIOTCLUB's and CSSS's date strings, which name none; 480 (Beijing) unless given. */
  readonly zoneOffsetMin?: number;
  /** How long Cube's background actions run; 3 s unless given. */
  readonly cubeAsyncMs?: number;
  readonly signCsssOrderStatus?: boolean;
  readonly csssMd5Encoding?: Md5Encoding;
  readonly cubeNotificationVariant?: CubeNotificationVariant;
  readonly callbacks?: Partial<CallbackSettings>;
  readonly callbackSender?: CallbackSender;
  /** Rows that `requests()` keeps; 10,000 unless given. */
  readonly requestsMax?: number;
}

/** A package that a SIM already holds when the test begins. It is no purchase. */
export interface HeldPackage {
  readonly code: string;
  readonly state: 'waiting' | 'active' | 'ended';
  readonly orderId?: string;
  readonly reference?: string;
  /** When it was ordered; now unless given. */
  readonly createdAt?: number;
  readonly periods?: number;
  readonly usedBytes?: number;
}

export interface Simulator {
  /** Binds to loopback, on a free port unless one is given; gives the base URL. */
  listen(port?: number): Promise<string>;
  /** `http://127.0.0.1:port`. Throws before `listen`. */
  readonly url: string;
  close(): Promise<void>;
  /** False refuses connections as if nobody listened; true listens again on the same port. */
  setReachable(reachable: boolean): Promise<void>;
  /** EIOTCLUB's IP allow-list: false answers code 502 to everything. */
  setIpAllowed(allowed: boolean): void;

  /** The provider's own answer without any fault. Usable without HTTP. */
  handle(request: ApiRequest, nowMs: number): ApiReply;
  /** What the caller lives through, faults included. Usable without HTTP. */
  exchange(request: ApiRequest, nowMs: number): Exchange;

  addSim(sim: NewSim & { readonly packages?: readonly HeldPackage[] }): readonly OrderRecord[];
  addPackage(info: PackageInfo): void;
  setPrice(provider: ProviderName, code: string, priceMinor: number): void;
  setBalance(provider: ProviderName, balanceMinor: number): void;
  balance(provider: ProviderName): number;
  setUsage(orderId: string, usedBytes: number): void;
  /** Begins a waiting order, and tells so by callback. */
  startOrder(orderId: string): void;
  /** Ends an order, and tells so by callback. */
  expireOrder(orderId: string): void;

  /** Every purchase ever, oldest first. */
  orders(filter?: Partial<Pick<Purchase, 'provider' | 'simId' | 'reference' | 'kind'>>): readonly Purchase[];
  requests(filter?: Partial<Pick<RequestRow, 'provider' | 'path' | 'verdict'>>): readonly RequestRow[];
  readonly books: Books;
  readonly faults: Faults;
  readonly callbacks: Callbacks;
  /** Sends one callback now. Throws when the provider has no callback URL. */
  emit(provider: ProviderName, body: JsonObject, options?: EmitOptions): Delivery;
}

const defaultRetryDelaysMs: Readonly<Record<ProviderName, readonly number[]>> = {
  // Unknown for EIOTCLUB and CSSS (protocols/eiotclub.md 3.3, linksfield.md 4): an ordinary schedule.
  eiotclub: [1_000, 5_000, 30_000, 120_000, 600_000],
  'linksfield-csss': [1_000, 5_000, 30_000, 120_000, 600_000],
  // Up to 30 times in 24 hours. Source: protocols/linksfield.md 6. Evenly spread, which is not said.
  'linksfield-cube': Array.from({ length: 29 }, () => Math.floor(86_400_000 / 29)),
};

const bodyBytesMax = 1024 * 1024;

interface World {
  readonly books: Books;
  readonly clock: SimulatorClock;
  readonly faults: Faults;
  readonly callbacks: Callbacks;
  readonly handlers: Readonly<Record<ProviderName, ApiHandler>>;
  readonly zoneOffsetMin: number;
  readonly csss: { readonly accessCode: string; readonly signOrderStatus: boolean };
  ipAllowed: boolean;
  reachable: boolean;
  port: number | null;
}

/** A simulator that does not listen yet. */
export async function createSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const clock = options.clock ?? realClock;
  const wallets = {
    eiotclub: options.wallets?.eiotclub ?? { currency: 'USD', balanceMinor: 100_000_000 },
    'linksfield-csss': options.wallets?.['linksfield-csss'] ?? { currency: 'CNY', balanceMinor: 100_000_000 },
    'linksfield-cube': options.wallets?.['linksfield-cube'] ?? { currency: 'CNY', balanceMinor: 100_000_000 },
  };
  const books = createBooks({
    unknownSims: options.unknownSims ?? 'refuse',
    requestsMax: options.requestsMax ?? 10_000,
    wallets,
  });
  const packages =
    options.packages ?? defaultPackages.filter((p) => p.currency === wallets[p.provider].currency);
  for (const info of packages) addPackage(books, info);
  const csss = { ...simulatorDefaults.csss, ...options.accounts?.csss };
  const world: World = {
    books,
    clock,
    faults: createFaults(),
    callbacks: createCallbacks(callbackDeps(options, clock)),
    handlers: handlersOf(options, books, () => world.ipAllowed),
    zoneOffsetMin: options.zoneOffsetMin ?? 480,
    csss: { accessCode: csss.accessCode, signOrderStatus: options.signCsssOrderStatus ?? false },
    ipAllowed: true,
    reachable: true,
    port: null,
  };
  return facade(world, shellOf(world));
}

function handlersOf(options: SimulatorOptions, books: Books, ipAllowed: () => boolean): World['handlers'] {
  const eiotclub = { ...simulatorDefaults.eiotclub, ...options.accounts?.eiotclub };
  const csss = { ...simulatorDefaults.csss, ...options.accounts?.csss };
  const cube = { ...simulatorDefaults.cube, ...options.accounts?.cube };
  const zoneOffsetMin = options.zoneOffsetMin ?? 480;
  const also = (provider: ProviderName) => options.alsoAccepts?.[provider] ?? [];
  const rateLimit = (provider: ProviderName): RateLimit => ({
    perSec: options.rateLimits?.[provider]?.perSec ?? null,
    perDay: options.rateLimits?.[provider]?.perDay ?? null,
  });
  return {
    eiotclub: createEiotclub(books, {
      appkey: eiotclub.appkey,
      secrets: [eiotclub.secret, ...also('eiotclub')],
      rateLimit: rateLimit('eiotclub'),
      timestampToleranceMs: options.timestampToleranceMs?.eiotclub ?? null,
      zoneOffsetMin,
      ipAllowed,
    }),
    'linksfield-csss': createCsss(books, {
      accessCode: csss.accessCode,
      secrets: [csss.secret, ...also('linksfield-csss')],
      rateLimit: rateLimit('linksfield-csss'),
      timestampToleranceMs: options.timestampToleranceMs?.['linksfield-csss'] ?? null,
      zoneOffsetMin,
      signOrderStatus: options.signCsssOrderStatus ?? false,
    }),
    'linksfield-cube': createCube(books, {
      keyId: cube.keyId,
      publicKeys: [cube.publicKeyPem, ...also('linksfield-cube')],
      rateLimit: rateLimit('linksfield-cube'),
      connectionsMax: options.cubeConnectionsMax === undefined ? 3 : options.cubeConnectionsMax,
      timestampToleranceMs: options.timestampToleranceMs?.['linksfield-cube'] ?? 600_000,
      asyncMs: options.cubeAsyncMs ?? 3_000,
    }),
  };
}

function callbackDeps(options: SimulatorOptions, clock: SimulatorClock) {
  const cube = { ...simulatorDefaults.cube, ...options.accounts?.cube };
  return {
    clock,
    send: options.callbackSender ?? httpSender,
    settings: {
      urls: {},
      retryDelaysMs: defaultRetryDelaysMs,
      timeoutMs: 5_000,
      repeatsAfterSuccess: 0,
      delayMs: 0,
      reorderBy: 1,
      resignEachTry: false,
      automatic: true,
      sentBefore: 0,
      ...options.callbacks,
    },
    keys: {
      eiotclubSecret: options.accounts?.eiotclub?.callbackSecret ?? simulatorDefaults.eiotclub.callbackSecret,
      csssSecret: options.accounts?.csss?.callbackSecret ?? simulatorDefaults.csss.callbackSecret,
      csssEncoding: options.csssMd5Encoding ?? 'of-bytes',
      cubeKeyId: cube.notificationKeyId,
      cubeKey: cube.notificationKey,
      cubeVariant: options.cubeNotificationVariant ?? { joiner: '', key: 'hex-decoded', output: 'base64' },
    },
  } as const;
}

/** Which provider's host the path belongs to. Seed 001 shows CSSS paths under `/cube/v4` as well. */
export function providerOf(path: string): ProviderName | null {
  if (path.startsWith('/api/v3/')) return 'eiotclub';
  if (/^(\/cube\/v4)?\/(package|device|flow)\//.test(path)) return 'linksfield-csss';
  return path.startsWith('/cube/v4/') ? 'linksfield-cube' : null;
}

const noSuchHost: Exchange = plainExchange({ status: 404, headers: {}, bodyText: '' });

/** One run of a provider's logic with its own terms. */
function run(
  world: World,
  provider: ProviderName,
  job: {
    readonly request: ApiRequest;
    readonly nowMs: number;
    readonly visibleAfterMs: number;
    readonly requestId: number;
  },
): { readonly handled: Handled; readonly terms: Terms } {
  const terms: Terms = {
    requestId: job.requestId,
    visibleFrom: job.nowMs + job.visibleAfterMs,
    purchases: [],
    notices: [],
  };
  return { handled: world.handlers[provider](job.request, job.nowMs, terms), terms };
}

function tell(world: World, notices: readonly Notice[]): void {
  if (!world.callbacks.automatic) return;
  for (const notice of notices) world.callbacks.emit(notice, {});
}

function exchange(world: World, request: ApiRequest, nowMs: number): Exchange {
  const provider = providerOf(request.path);
  if (!world.reachable) return { kind: 'unreachable' };
  if (provider === null) return noSuchHost;
  const fault = world.faults.take({ ...request, provider }, 'after-body');
  const requestId = nextNumber(world.books);
  let handled: Handled | null = null;
  const job = { request, nowMs, requestId };
  const commit = (visibleAfterMs: number) => {
    const done = run(world, provider, { ...job, visibleAfterMs });
    handled = done.handled;
    tell(world, done.terms.notices);
    return done.handled;
  };
  const pretend = () => {
    const done = run(world, provider, { ...job, visibleAfterMs: 0 });
    handled = done.handled;
    undo(world.books, done.terms.purchases);
    return done.handled;
  };
  const result = fault === null ? plainExchange(commit(0)) : playFault(fault, { provider, commit, pretend });
  note(world, { provider, request, nowMs, requestId, fault: fault?.kind ?? null }, handled);
  return result;
}

function note(
  world: World,
  seen: {
    provider: ProviderName | null;
    request: ApiRequest;
    nowMs: number;
    requestId: number;
    fault: string | null;
  },
  handled: Handled | null,
): void {
  noteRequest(world.books, {
    id: seen.requestId,
    at: seen.nowMs,
    provider: seen.provider,
    method: seen.request.method,
    path: seen.request.path,
    verdict: handled === null ? 'unhandled' : handled.accepted ? 'accepted' : 'rejected',
    code: handled?.code ?? null,
    fault: seen.fault,
    simId: handled?.simId ?? null,
    reference: handled?.reference ?? null,
    bodyText: seen.request.bodyText,
  });
}

/** Takes a fault that strikes before the body is read. True: the connection must be reset. */
function resetsEarly(world: World, head: ApiRequest, nowMs: number): boolean {
  const provider = providerOf(head.path);
  const fault = provider === null ? null : world.faults.take({ ...head, provider }, 'before-body');
  if (fault === null) return false;
  note(
    world,
    { provider, request: head, nowMs, requestId: nextNumber(world.books), fault: fault.kind },
    null,
  );
  return true;
}

function shellOf(world: World): HttpShell {
  return createHttpShell({
    clock: world.clock,
    bodyBytesMax,
    resetsEarly: (head) => resetsEarly(world, head, world.clock.now()),
    exchange: (request) => exchange(world, request, world.clock.now()),
    tooLarge: (head) => {
      const requestId = nextNumber(world.books);
      const seen = {
        provider: providerOf(head.path),
        request: head,
        nowMs: world.clock.now(),
        requestId,
        fault: null,
      };
      note(world, seen, null);
      return plainExchange({ status: 413, headers: { connection: 'close' }, bodyText: '' });
    },
    inFlight: (head, change) => {
      const provider = providerOf(head.path);
      if (provider !== null) world.books.inFlight[provider] += change;
    },
  });
}

function facade(world: World, shell: HttpShell): Simulator {
  const { books, clock } = world;
  return {
    listen: async (port = 0) => {
      world.port = await shell.listen(port);
      return urlOf(world);
    },
    get url() {
      return urlOf(world);
    },
    close: async () => {
      world.callbacks.stop();
      await shell.close();
      await world.callbacks.settled();
    },
    setReachable: (reachable) => setReachable(world, shell, reachable),
    setIpAllowed: (allowed) => {
      world.ipAllowed = allowed;
    },
    handle: (request, nowMs) => handle(world, request, nowMs),
    exchange: (request, nowMs) => {
      if (world.reachable && resetsEarly(world, { ...request, bodyText: '' }, nowMs)) return { kind: 'drop' };
      return exchange(world, request, nowMs);
    },
    addSim: (sim) => {
      addSim(books, sim, clock.now());
      return (sim.packages ?? []).map((held) => holdPackage(world, sim, held));
    },
    addPackage: (info) => addPackage(books, info),
    setPrice: (provider, code, priceMinor) =>
      addPackage(books, { ...packageOf(books, provider, code), priceMinor }),
    setBalance: (provider, balanceMinor) => {
      books.wallets[provider].balanceMinor = balanceMinor;
    },
    balance: (provider) => books.wallets[provider].balanceMinor,
    setUsage: (orderId, usedBytes) => {
      orderOf(books, orderId).usedBytes = usedBytes;
    },
    startOrder: (orderId) => startOrder(world, orderOf(books, orderId)),
    expireOrder: (orderId) => expireOrder(world, orderOf(books, orderId)),
    orders: (filter = {}) => books.purchases.filter((row) => fits(row, filter)),
    requests: (filter = {}) => books.requests.filter((row) => fits(row, filter)),
    books,
    faults: world.faults,
    callbacks: world.callbacks,
    emit: (provider, body, emitOptions = {}) => {
      const notice = { provider, body, signed: true, dueAt: clock.now() };
      const delivery = world.callbacks.emit(notice, emitOptions);
      if (delivery === null)
        throw new Error(`No callback URL for ${provider}: set options.callbacks.urls or use setUrl.`);
      return delivery;
    },
  };
}

const fits = <Row extends object>(row: Row, filter: Partial<Row>): boolean =>
  Object.entries(filter).every(([name, value]) => Reflect.get(row, name) === value);

function urlOf(world: World): string {
  if (world.port === null) throw new Error('The simulator does not listen yet: call listen() first.');
  return `http://127.0.0.1:${world.port}`;
}

async function setReachable(world: World, shell: HttpShell, reachable: boolean): Promise<void> {
  if (world.reachable === reachable) return;
  world.reachable = reachable;
  if (world.port === null) return;
  if (reachable) await shell.listen(world.port);
  else await shell.close();
}

/** The provider's own answer, noted like any request but struck by no fault. */
function handle(world: World, request: ApiRequest, nowMs: number): ApiReply {
  const provider = providerOf(request.path);
  if (provider === null) return { status: 404, headers: {}, bodyText: '' };
  const requestId = nextNumber(world.books);
  const { handled, terms } = run(world, provider, { request, nowMs, requestId, visibleAfterMs: 0 });
  tell(world, terms.notices);
  note(world, { provider, request, nowMs, requestId, fault: null }, handled);
  return { status: handled.status, headers: handled.headers, bodyText: handled.bodyText };
}

function packageOf(books: Books, provider: ProviderName, code: string): PackageInfo {
  const info = findPackage(books, provider, code);
  if (info === null)
    throw new Error(`Package ${code} of ${provider} is not on offer: call addPackage first.`);
  return info;
}

function orderOf(books: Books, orderId: string): OrderRecord {
  for (const provider of providerNames) {
    const order = findOrder(books, provider, orderId);
    if (order !== null) return order;
  }
  throw new Error(`No order ${orderId} in the books: use an id from orders() (recordId) or addSim().`);
}

/** Files a package that the SIM already has. An active one began when it was ordered. */
function holdPackage(world: World, sim: NewSim, held: HeldPackage): OrderRecord {
  const { books } = world;
  const info = packageOf(books, sim.provider, held.code);
  const now = world.clock.now();
  const createdAt = held.createdAt ?? now;
  const number = 10_004_995 + nextNumber(books);
  const record: OrderRecord = {
    provider: sim.provider,
    orderId: held.orderId ?? String(number),
    number,
    simId: sim.simId,
    packageCode: info.code,
    packageName: info.name,
    packageType: info.type,
    dataMb: info.dataMb,
    periodDays: info.days,
    periods: held.periods ?? 1,
    priceMinor: priceOf({ info, periods: held.periods ?? 1 }),
    currency: info.currency,
    reference: held.reference ?? null,
    renew: false,
    ota: sim.ota ?? false,
    createdAt,
    visibleFrom: createdAt,
    startedAt: held.state === 'waiting' ? null : createdAt,
    endedAt: held.state === 'ended' ? now : null,
    refundedAt: null,
    usedBytes: held.usedBytes ?? 0,
    extensions: [],
  };
  file(books, record);
  return record;
}

const imsiOf = (world: World, order: OrderRecord): string | null =>
  findSim(world.books, order.provider, order.simId, world.clock.now())?.imsi ?? null;

function startOrder(world: World, order: OrderRecord): void {
  const now = world.clock.now();
  order.startedAt = now;
  if (order.provider === 'linksfield-csss') {
    tell(world, [
      orderStatusNotice(
        order,
        { code: order.ota ? '1007' : '1005', at: now, imsi: imsiOf(world, order) },
        world.csss,
      ),
    ]);
  } else if (order.provider === 'eiotclub') {
    const body = { event: 'PkgEffective', data: recordRow(order, now, world) };
    tell(world, [{ provider: 'eiotclub', body, signed: true, dueAt: now }]);
  }
}

/** CSSS 1008; EIOTCLUB PkgQuantityList, and CardStopped when the card holds no other package. Cube: nothing known. */
function expireOrder(world: World, order: OrderRecord): void {
  const now = world.clock.now();
  order.endedAt = now;
  if (order.provider === 'linksfield-csss') {
    tell(world, [
      orderStatusNotice(order, { code: '1008', at: now, imsi: imsiOf(world, order) }, world.csss),
    ]);
  } else if (order.provider === 'eiotclub') {
    const row = { ...recordRow(order, now, world) };
    const stopped = { event: 'PkgQuantityList', data: [row] };
    tell(world, [{ provider: 'eiotclub', body: stopped, signed: true, dueAt: now }]);
    const others = visibleOrders(world.books, 'eiotclub', order.simId, now).filter(
      (o) => phaseOf(o, now) !== 'ended',
    );
    const body = { event: 'CardStopped', iccid: order.simId };
    if (others.length === 0) tell(world, [{ provider: 'eiotclub', body, signed: true, dueAt: now }]);
  }
}
