/** An amount in whole minor units of its currency (cents, yen): never a float. */
export interface Money {
  readonly amountMinor: number;
  /** ISO 4217 code in capitals, such as `USD`. */
  readonly currency: string;
}

export function money(amountMinor: number, currency: string): Money {
  if (!Number.isSafeInteger(amountMinor) || amountMinor < 0) {
    throw new RangeError(
      `an amount must be a whole number of minor units of at least 0, but was ${amountMinor}`,
    );
  }
  if (!/^[A-Z]{3}$/.test(currency)) {
    throw new RangeError(`a currency must be three capital letters such as USD, but was ${currency}`);
  }
  return { amountMinor, currency };
}

/** Currencies whose minor unit is not a hundredth. Source: ISO 4217, list one, column "minor unit". */
const otherDigits: Readonly<Record<number, string>> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
  3: 'BHD IQD JOD KWD LYD OMR TND',
  4: 'CLF UYW',
};

const digitsOf: ReadonlyMap<string, number> = new Map(
  Object.entries(otherDigits).flatMap(([digits, currencies]) =>
    currencies.split(' ').map((currency) => [currency, Number(digits)] as const),
  ),
);

/**
 * Decimal places of a currency's minor unit: 2 for USD, 0 for JPY, 3 for KWD. Not asked of Node's Intl: that tells
 * how people write an amount, which is 0 for HUF and may change with each Node, and takes 20 ms of a cold start.
 */
export function minorUnitDigits(currency: string): number {
  return digitsOf.get(currency) ?? 2;
}

/**
 * Reads a decimal text in the major unit ("225.35") without passing through a float.
 * Digits beyond the minor unit must be zeros; anything else gives null.
 */
export function parseMajorAmount(text: string, currency: string): Money | null {
  const match = /^(\d{1,12})(?:\.(\d{1,18}))?$/.exec(text.trim());
  if (!match || !/^[A-Z]{3}$/.test(currency)) return null;
  const digits = minorUnitDigits(currency);
  const fraction = (match[2] ?? '').padEnd(digits, '0');
  if (!/^0*$/.test(fraction.slice(digits))) return null;
  const amountMinor = Number(`${match[1]}${fraction.slice(0, digits)}`);
  return Number.isSafeInteger(amountMinor) ? { amountMinor, currency } : null;
}

/** `USD 5.00`, for people. */
export function formatMoney(value: Money): string {
  const digits = minorUnitDigits(value.currency);
  const text = String(value.amountMinor).padStart(digits + 1, '0');
  if (digits === 0) return `${value.currency} ${text}`;
  return `${value.currency} ${text.slice(0, -digits)}.${text.slice(-digits)}`;
}
