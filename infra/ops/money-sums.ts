import { formatMoney, type Money } from '../../shared/core/money.ts';

/** Adds amounts up by currency. */
export interface MoneySums {
  add(amount: Money): void;
  /** In the order of the currencies' codes. */
  list(): readonly Money[];
}

export function moneySums(): MoneySums {
  const sums = new Map<string, number>();
  return {
    add: ({ amountMinor, currency }) => void sums.set(currency, (sums.get(currency) ?? 0) + amountMinor),
    list: () =>
      [...sums]
        .map(([currency, amountMinor]) => ({ amountMinor, currency }))
        .toSorted((a, b) => (a.currency < b.currency ? -1 : 1)),
  };
}

/** `CNY 3.00 + USD 5.00`, or `nothing`. */
export function showSums(sums: readonly Money[]): string {
  return sums.length === 0 ? 'nothing' : sums.map(formatMoney).join(' + ');
}
