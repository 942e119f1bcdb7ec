import { Duration } from 'aws-cdk-lib';
import type { DurationMs } from '../../shared/core/time.ts';

/** Our spans as CDK's. */
export const toDuration = (span: DurationMs): Duration => Duration.millis(span);

/** `linksfield-csss` as `LinksfieldCsss`, for construct ids. */
export function pascal(id: string): string {
  return id.replace(/(^|[^a-z0-9])([a-z0-9])/g, (_match, _gap, letter: string) => letter.toUpperCase());
}
