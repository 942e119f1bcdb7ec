import type { Terms } from './api-handler.ts';

export const providerNames = ['eiotclub', 'linksfield-csss', 'linksfield-cube'] as const;
export type ProviderName = (typeof providerNames)[number];

const dayMs = 86_400_000;

/** Purchases kept at most, so that a runaway test stops with a clear text instead of filling the memory. */
const purchasesMax = 500_000;

/** One thing that can be bought. Amounts are minor units of `currency`. */
export interface PackageInfo {
  readonly provider: ProviderName;
  readonly code: string;
  readonly name: string;
  /** The provider's own type code as text: EIOTCLUB packageType, CSSS package_type, Cube bundle type. */
  readonly type: string;
  readonly priceMinor: number;
  readonly currency: string;
  readonly days: number;
  /** Null where the data volume is unlimited. */
  readonly dataMb: number | null;
}

export interface SimCard {
  readonly provider: ProviderName;
  readonly simId: string;
  readonly imsi: string;
  readonly ota: boolean;
  readonly addedAt: number;
  /** Cube's SIM status: 10 pre-active, 23 active, 30 paused, 40 expired, 50 terminated. */
  status: number;
}

/** A renewal that lengthens an existing order (CSSS). */
interface Extension {
  readonly periods: number;
  readonly at: number;
  readonly visibleFrom: number;
  readonly purchaseId: number;
}

/** One package on one SIM. Times are epoch ms. */
export interface OrderRecord {
  readonly provider: ProviderName;
  readonly orderId: string;
  /** The same order as a whole number, for providers that number their orders. */
  readonly number: number;
  readonly simId: string;
  readonly packageCode: string;
  readonly packageName: string;
  readonly packageType: string;
  readonly dataMb: number | null;
  readonly periodDays: number;
  readonly periods: number;
  readonly priceMinor: number;
  readonly currency: string;
  readonly reference: string | null;
  readonly renew: boolean;
  readonly ota: boolean;
  readonly createdAt: number;
  readonly visibleFrom: number;
  startedAt: number | null;
  /** Set when the order was ended, cancelled or refunded before its time. */
  endedAt: number | null;
  refundedAt: number | null;
  usedBytes: number;
  extensions: Extension[];
}

/** Money that left a wallet: every purchase ever, whatever became of its answer. */
export interface Purchase {
  readonly id: number;
  readonly provider: ProviderName;
  readonly kind: 'order' | 'renew' | 'order-ota';
  /** The id that the provider gave the caller. A Cube order over several SIMs is one purchase a SIM, all with its id. */
  readonly orderId: string;
  /** Id of the record in these books: `orderId`, with a part for the SIM where an order covers several. */
  readonly recordId: string;
  readonly simId: string;
  readonly packageCode: string;
  /** The caller's own order number; null where the provider takes none. */
  readonly reference: string | null;
  readonly priceMinor: number;
  readonly currency: string;
  readonly at: number;
  /** The request that caused it: `requests()` holds the row with this id. */
  readonly requestId: number;
  /** From when the provider's records show it; Infinity for one that the provider forgot. */
  readonly visibleFrom: number;
}

/** One API request as the provider saw it. */
export interface RequestRow {
  readonly id: number;
  readonly at: number;
  readonly provider: ProviderName | null;
  readonly method: string;
  readonly path: string;
  /** `unhandled`: a fault took the request before the provider's logic ran. */
  readonly verdict: 'accepted' | 'rejected' | 'unhandled';
  /** The provider's code in the reply that its logic gave; null for unhandled ones. */
  readonly code: string | null;
  /** Kind of the fault that was played; null without one. */
  readonly fault: string | null;
  readonly simId: string | null;
  readonly reference: string | null;
  /** At most 4,096 characters of the body. */
  readonly bodyText: string;
}

export interface Wallet {
  readonly currency: string;
  balanceMinor: number;
}

/** A Cube order over several SIMs. */
export interface CubeOrder {
  readonly orderId: string;
  readonly items: readonly {
    readonly id: string;
    readonly quantity: number;
    readonly priceMinor: number;
    readonly simIds: readonly string[];
  }[];
  readonly currency: string;
  readonly totalMinor: number;
  readonly extra: { readonly po: string | null; readonly remarks: string | null };
  readonly createdAt: number;
  readonly visibleFrom: number;
}

/** A Cube action that runs in the background and locks its SIM until `dueAt`. */
export interface AsyncAction {
  readonly requestId: string;
  readonly simId: string;
  readonly operation: string;
  readonly dueAt: number;
  readonly apply: (sim: SimCard) => void;
  done: boolean;
}

export interface Books {
  readonly sims: Map<string, SimCard>;
  readonly packages: Map<string, PackageInfo>;
  readonly orders: Map<string, OrderRecord>;
  readonly ordersOfSim: Map<string, OrderRecord[]>;
  readonly references: Map<string, OrderRecord>;
  readonly wallets: Record<ProviderName, Wallet>;
  readonly purchases: Purchase[];
  readonly requests: RequestRow[];
  readonly requestsMax: number;
  readonly cubeOrders: Map<string, CubeOrder>;
  readonly cubeRecent: Map<string, { readonly orderId: string; readonly at: number }>;
  readonly asyncActions: Map<string, AsyncAction>;
  readonly admissions: Map<string, number[]>;
  readonly inFlight: Record<ProviderName, number>;
  readonly unknownSims: 'create' | 'refuse';
  sequence: number;
}

export interface BooksOptions {
  /** What happens on a SIM that nobody added: refused as the provider would, or made on the spot. */
  readonly unknownSims: 'create' | 'refuse';
  /** Rows of `requests()` kept; the oldest go first. */
  readonly requestsMax: number;
  readonly wallets: Readonly<
    Record<ProviderName, { readonly currency: string; readonly balanceMinor: number }>
  >;
}

export function createBooks(options: BooksOptions): Books {
  return {
    sims: new Map(),
    packages: new Map(),
    orders: new Map(),
    ordersOfSim: new Map(),
    references: new Map(),
    wallets: {
      eiotclub: { ...options.wallets.eiotclub },
      'linksfield-csss': { ...options.wallets['linksfield-csss'] },
      'linksfield-cube': { ...options.wallets['linksfield-cube'] },
    },
    purchases: [],
    requests: [],
    requestsMax: options.requestsMax,
    cubeOrders: new Map(),
    cubeRecent: new Map(),
    asyncActions: new Map(),
    admissions: new Map(),
    inFlight: { eiotclub: 0, 'linksfield-csss': 0, 'linksfield-cube': 0 },
    unknownSims: options.unknownSims,
    sequence: 0,
  };
}

const keyOf = (provider: ProviderName, id: string): string => `${provider}/${id}`;

/** Whole numbers that never repeat within one simulator, in place of chance. */
export function nextNumber(books: Books): number {
  books.sequence += 1;
  return books.sequence;
}

export interface NewSim {
  readonly provider: ProviderName;
  readonly simId: string;
  readonly imsi?: string;
  readonly ota?: boolean;
  /** Cube's SIM status; 23 (active) unless given. */
  readonly status?: number;
}

export function addSim(books: Books, sim: NewSim, nowMs: number): SimCard {
  const card: SimCard = {
    provider: sim.provider,
    simId: sim.simId,
    imsi: sim.imsi ?? `45400${sim.simId.slice(-10).padStart(10, '0')}`,
    ota: sim.ota ?? false,
    addedAt: nowMs,
    status: sim.status ?? 23,
  };
  books.sims.set(keyOf(sim.provider, sim.simId), card);
  return card;
}

/** The SIM, made on the spot where the books allow it; null for one that the provider doesn't know. */
export function findSim(books: Books, provider: ProviderName, simId: string, nowMs: number): SimCard | null {
  const known = books.sims.get(keyOf(provider, simId));
  if (known !== undefined) return known;
  return books.unknownSims === 'create' ? addSim(books, { provider, simId }, nowMs) : null;
}

export const simsOf = (books: Books, provider: ProviderName): readonly SimCard[] =>
  [...books.sims.values()].filter((sim) => sim.provider === provider);

export function addPackage(books: Books, info: PackageInfo): void {
  const wallet = books.wallets[info.provider];
  if (wallet.currency !== info.currency)
    throw new Error(
      `Package ${info.code}: currency ${info.currency}, wallet ${wallet.currency}; use the wallet's.`,
    );
  books.packages.set(keyOf(info.provider, info.code), info);
}

export const findPackage = (books: Books, provider: ProviderName, code: string): PackageInfo | null =>
  books.packages.get(keyOf(provider, code)) ?? null;

export const packagesOf = (books: Books, provider: ProviderName): readonly PackageInfo[] =>
  [...books.packages.values()].filter((info) => info.provider === provider);

export const findOrder = (books: Books, provider: ProviderName, orderId: string): OrderRecord | null =>
  books.orders.get(keyOf(provider, orderId)) ?? null;

/** The order as the provider's own records show it now; null for one that they don't show (yet). */
export function visibleOrder(
  books: Books,
  provider: ProviderName,
  orderId: string,
  nowMs: number,
): OrderRecord | null {
  const order = findOrder(books, provider, orderId);
  return order !== null && order.visibleFrom <= nowMs ? order : null;
}

/** Orders that the provider's records show now, oldest first; of one SIM, or of all for null. */
export function visibleOrders(
  books: Books,
  provider: ProviderName,
  simId: string | null,
  nowMs: number,
): readonly OrderRecord[] {
  const all =
    simId === null ? [...books.orders.values()] : (books.ordersOfSim.get(keyOf(provider, simId)) ?? []);
  return all
    .filter((order) => order.provider === provider && order.visibleFrom <= nowMs)
    .sort((a, b) => a.createdAt - b.createdAt || a.number - b.number);
}

export const findByReference = (
  books: Books,
  provider: ProviderName,
  reference: string,
): OrderRecord | null => books.references.get(keyOf(provider, reference)) ?? null;

export const visiblePeriods = (order: OrderRecord, nowMs: number): number =>
  order.extensions.reduce((sum, e) => (e.visibleFrom <= nowMs ? sum + e.periods : sum), order.periods);

/** When the order runs out, or ran out; null while it has not begun. */
export function expiryOf(order: OrderRecord, nowMs: number): number | null {
  if (order.endedAt !== null) return order.endedAt;
  if (order.startedAt === null) return null;
  return order.startedAt + visiblePeriods(order, nowMs) * order.periodDays * dayMs;
}

export type Phase = 'waiting' | 'active' | 'ended';

export function phaseOf(order: OrderRecord, nowMs: number): Phase {
  if (order.endedAt !== null && order.endedAt <= nowMs) return 'ended';
  if (order.startedAt === null || order.startedAt > nowMs) return 'waiting';
  const expiry = expiryOf(order, nowMs);
  return expiry !== null && expiry <= nowMs ? 'ended' : 'active';
}

/** When the order last changed, seen from `nowMs`. */
export function updatedAt(order: OrderRecord, nowMs: number): number {
  const changes = [
    order.startedAt,
    expiryOf(order, nowMs),
    order.refundedAt,
    ...order.extensions.map((extension) => extension.at),
  ].filter((at) => at !== null && at <= nowMs);
  return Math.max(order.createdAt, ...changes.map(Number));
}

/** When a new package of this SIM can begin: now, or when the last one that the SIM holds runs out. */
export function freeFrom(books: Books, provider: ProviderName, simId: string, nowMs: number): number {
  const orders = books.ordersOfSim.get(keyOf(provider, simId)) ?? [];
  return orders
    .filter((order) => phaseOf(order, nowMs) !== 'ended')
    .reduce((latest, order) => Math.max(latest, expiryOf(order, nowMs) ?? nowMs), nowMs);
}

export interface NewOrder {
  readonly sim: SimCard;
  readonly info: PackageInfo;
  readonly kind: 'order' | 'order-ota';
  readonly orderId: (number: number) => string;
  readonly periods: number;
  readonly reference: string | null;
  readonly renew: boolean;
  readonly startedAt: number | null;
  /** Later than the terms' own where the provider works in the background. */
  readonly visibleFrom?: number;
}

export const priceOf = (order: { readonly info: PackageInfo; readonly periods: number }): number =>
  order.info.priceMinor * order.periods;

/** True when the wallet can pay the amount. */
export const canPay = (books: Books, provider: ProviderName, amountMinor: number): boolean =>
  books.wallets[provider].balanceMinor >= amountMinor;

/** Books one paid order: record, money and purchase together. The caller has checked the wallet. */
export function placeOrder(books: Books, order: NewOrder, nowMs: number, terms: Terms): OrderRecord {
  const number = 10_004_995 + nextNumber(books);
  const { provider } = order.info;
  const record: OrderRecord = {
    provider,
    orderId: order.orderId(number),
    number,
    simId: order.sim.simId,
    packageCode: order.info.code,
    packageName: order.info.name,
    packageType: order.info.type,
    dataMb: order.info.dataMb,
    periodDays: order.info.days,
    periods: order.periods,
    priceMinor: priceOf(order),
    currency: order.info.currency,
    reference: order.reference,
    renew: order.renew,
    ota: order.kind === 'order-ota',
    createdAt: nowMs,
    visibleFrom: Math.max(terms.visibleFrom, order.visibleFrom ?? nowMs),
    startedAt: order.startedAt,
    endedAt: null,
    refundedAt: null,
    usedBytes: 0,
    extensions: [],
  };
  file(books, record);
  charge(books, record, { kind: order.kind, priceMinor: record.priceMinor, at: nowMs }, terms);
  return record;
}

/** Puts an order into the records without a purchase: what the SIM already had when the test began. */
export function file(books: Books, record: OrderRecord): void {
  const simKey = keyOf(record.provider, record.simId);
  books.orders.set(keyOf(record.provider, record.orderId), record);
  books.ordersOfSim.set(simKey, [...(books.ordersOfSim.get(simKey) ?? []), record]);
  if (record.reference !== null) books.references.set(keyOf(record.provider, record.reference), record);
}

/** Books a paid renewal that lengthens an order. Price: the order's price per period, times periods. */
export function extendOrder(
  books: Books,
  order: OrderRecord,
  extension: { readonly periods: number; readonly priceMinor: number; readonly at: number },
  terms: Terms,
): void {
  const purchase = charge(books, order, { kind: 'renew', ...extension }, terms);
  order.extensions.push({
    periods: extension.periods,
    at: extension.at,
    visibleFrom: purchase.visibleFrom,
    purchaseId: purchase.id,
  });
}

function charge(
  books: Books,
  order: OrderRecord,
  what: { readonly kind: Purchase['kind']; readonly priceMinor: number; readonly at: number },
  terms: Terms,
): Purchase {
  if (books.purchases.length >= purchasesMax)
    throw new Error(
      `Simulator holds ${books.purchases.length} purchases, at most ${purchasesMax}: create a new one.`,
    );
  const purchase: Purchase = {
    id: nextNumber(books),
    provider: order.provider,
    kind: what.kind,
    orderId: order.orderId.split('/')[0] ?? order.orderId,
    recordId: order.orderId,
    simId: order.simId,
    packageCode: order.packageCode,
    reference: order.reference,
    priceMinor: what.priceMinor,
    currency: order.currency,
    at: what.at,
    requestId: terms.requestId,
    visibleFrom: what.kind === 'renew' ? Math.max(terms.visibleFrom, what.at) : order.visibleFrom,
  };
  books.wallets[order.provider].balanceMinor -= what.priceMinor;
  books.purchases.push(purchase);
  terms.purchases.push(purchase);
  return purchase;
}

/** Takes purchases back as if they had never been made: money, record, reference and equal-request memory. */
export function undo(books: Books, purchases: readonly Purchase[]): void {
  for (const purchase of purchases) {
    books.wallets[purchase.provider].balanceMinor += purchase.priceMinor;
    const at = books.purchases.indexOf(purchase);
    if (at >= 0) books.purchases.splice(at, 1);
    const order = findOrder(books, purchase.provider, purchase.recordId);
    if (order !== null && purchase.kind === 'renew')
      order.extensions = order.extensions.filter((extension) => extension.purchaseId !== purchase.id);
    else if (order !== null) unfile(books, order);
    for (const [text, recent] of books.cubeRecent) {
      if (purchase.orderId !== recent.orderId) continue;
      books.cubeRecent.delete(text);
      books.cubeOrders.delete(recent.orderId);
    }
  }
}

function unfile(books: Books, order: OrderRecord): void {
  const simKey = keyOf(order.provider, order.simId);
  books.orders.delete(keyOf(order.provider, order.orderId));
  books.ordersOfSim.set(
    simKey,
    (books.ordersOfSim.get(simKey) ?? []).filter((other) => other !== order),
  );
  if (order.reference !== null) books.references.delete(keyOf(order.provider, order.reference));
}

export interface RateLimit {
  readonly perSec: number | null;
  readonly perDay: number | null;
}

/** Takes one request from the account's limit; false when it is used up. Refused requests take nothing. */
export function admit(books: Books, account: string, limit: RateLimit, nowMs: number): boolean {
  const kept = (books.admissions.get(account) ?? []).filter(
    (at) => at > nowMs - (limit.perDay === null ? 1_000 : dayMs),
  );
  const lastSec = kept.filter((at) => at > nowMs - 1_000).length;
  const full =
    (limit.perSec !== null && lastSec >= limit.perSec) ||
    (limit.perDay !== null && kept.length >= limit.perDay);
  if (!full) kept.push(nowMs);
  books.admissions.set(account, kept);
  return !full;
}

const bodyTextMax = 4_096;

/** Notes down one request; drops the oldest rows above the bound. */
export function noteRequest(books: Books, row: RequestRow): void {
  books.requests.push({ ...row, bodyText: row.bodyText.slice(0, bodyTextMax) });
  if (books.requests.length > books.requestsMax)
    books.requests.splice(0, books.requests.length - books.requestsMax);
}

/** Finishes background actions that are due. Each runs once. */
export function settleAsync(books: Books, nowMs: number): void {
  for (const action of books.asyncActions.values()) {
    if (action.done || action.dueAt > nowMs) continue;
    action.done = true;
    const sim = books.sims.get(keyOf('linksfield-cube', action.simId));
    if (sim !== undefined) action.apply(sim);
  }
}

/** Major-unit number of an amount, as the providers print prices. Yen has no minor unit. */
export const majorAmount = (amountMinor: number, currency: string): number =>
  currency === 'JPY' ? amountMinor : amountMinor / 100;
