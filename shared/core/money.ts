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

/** Decimal places of a currency's minor unit by ISO 4217: 2 for USD, 0 for JPY, 3 for KWD. */
export function minorUnitDigits(currency: string): number {
  const options = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions();
  return options.maximumFractionDigits ?? 2;
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
