export { type AgeLimits, judgeAge } from './age.ts';
export {
  csssCallbackVariants,
  type SignedCsssCallback,
  signCsssCallback,
  verifyCsssCallback,
} from './csss-callback.ts';
export {
  type CsssRequestOptions,
  csssRequestDefaults,
  csssRequestOptions,
  csssRequestVariants,
  type SignedCsssRequest,
  signCsssRequest,
  verifyCsssRequest,
} from './csss-request.ts';
export {
  type CubeKey,
  cubeNotificationVariants,
  type SignedCubeNotification,
  signCubeNotification,
  verifyCubeNotification,
} from './cube-notification.ts';
export {
  type CubeRequest,
  type CubeRequestVariant,
  cubeCanonical,
  cubeRequestVariants,
  type SignedCubeRequest,
  signCubeRequest,
  verifyCubeRequest,
} from './cube-request.ts';
export {
  eiotclubCallbackVariants,
  type SignedCallback,
  type SignedEiotclubRequest,
  signEiotclubCallback,
  signEiotclubRequest,
  verifyEiotclubCallback,
  verifyEiotclubRequest,
} from './eiotclub.ts';
export { explainCsssCallback } from './explain-csss.ts';
export { explainCubeNotification } from './explain-cube.ts';
export { explainEiotclubCallback } from './explain-eiotclub.ts';
export type { ExplainOptions, Explanation, TriedText } from './explanation.ts';
export type { JsonInput, JsonParams } from './json-input.ts';
export { mallChecksum } from './mall-checksum.ts';
export {
  compactText,
  type JsonBody,
  jsonDepthMax,
  plainString,
  type RawFailure,
  type RawKind,
  type RawMember,
  type RawMembers,
  type RawReason,
  type RawRoot,
  type RawValue,
  readMembers,
  readRoot,
  skipNumber,
  skipString,
  unescapeString,
} from './raw-json.ts';
export { Secret } from './secret.ts';
export type { RejectionReason, VariantOptions, Verification } from './verification.ts';
