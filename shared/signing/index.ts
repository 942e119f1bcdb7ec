export { Secret } from './secret.ts';
export type { RejectionReason, Verification } from './verification.ts';
