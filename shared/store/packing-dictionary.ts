/**
 * Text that most rows share, so that it costs them next to nothing: what `PackedData` is compressed against.
 *
 * NEVER change it. Money rows are kept for good and can't be read without the very text that they were packed with. A
 * better one gets the next number in packed-data.ts and stands beside this one.
 *
 * The commonest text stands at the end, where deflate's distances are shortest.
 */
export const dictionary1 = [
  '"bundles":[{"id":"","addedAt":"2026-01-01 00:00:00","status":"","cycles":"","endAt":"',
  '"orders":[{"id":"","status":"","expireDate":"2026-01-01 00:00:00","period":"1"}',
  '{"partner_code":"","sim_id":"","imsi":null,"order_id":"","package_code":"","status":"","occurred_at":"17"}',
  '{"devices":[{"deviceId":"8985","expireTime":"2026-01-01 00:00:00","warningCode":"1"}]}',
  '{"event_type":"","request_id":"","operation":"","result":"success","total":1,"data":[{"plan":"LP09","used":',
  '{"id":"","event":"SubPkgList","PkgEffective","PkgStop","CardStop","Refund","FlowAlert","timestamp":"17","nonce":"',
  '"data":[{"iccid":"8985200","orderNumber":"","orderId":"","outTradeNo":"","packageCode":"PKG001","packageName":"',
  '"createTime":"","startTime":"","endTime":"","price":"","state":1,"alert_type":1,"alert_value":"","sign":"',
  '"x-lf-md5":"","x-lf-signature":"","x-lf-timestamp":"17","x-lf-algo":"HMAC-SHA1","x-lf-notification-version":"1.0"',
  '{"notes":[{"at":17,"by":"","did":"cancelled","approved","resolved","reason":"',
  '"state":{"name":"unknown","verifying","parked","held","refused","cancelled","code":"","verifyAt":17,"message":"',
  '"kind":"released","refunded","corrected","verify","retryable","absent","found","unavailable","note":"not executed: ',
  '"facts":{"kind":"order-status","status":"expired","package-ordered","package-effective","package-stopped",',
  '"plan-reminder","warning":"expiring","expiresAt":null,"async-result","requestId":null,"operation":null,"result":null',
  '"proof":{"kind":"unsigned","why":"',
  '"verdict":"pass","reason":"cooling-down","detail":"until 2026-',
  '"reason":"sim-has-open-action","detail":"act_',
  '"reason":"own-purchase","detail":"',
  '"reason":"no-match","detail":"kind is ',
  '{"action":{"actionId":"act_","kind":"order-ota","order","renew","subject":{"provider":"linksfield-csss",',
  '"provider":"linksfield-cube","provider":"eiotclub","idKind":"iccid","simId":"8985","key":"eiotclub:iccid:8985"},',
  '"plan":{"packageCode":"PKG001"},"reference":"","targetOrderId":null,"maxCost":{"amountMinor":500,"currency":"USD"},',
  '"ruleId":"renew-low-data","policyVersion":"","eventId":"evt_","generation":1,"correlationId":"cor_","createdAt":17',
  '"state":{"name":"planned","dueAt":17},"stateSince":17,"state":{"name":"running","leaseUntil":17,"startedAt":17},',
  '"state":{"name":"succeeded","providerOrderId":"","adopted":false},"stateSince":17,"fence":1,"attemptsBurned":0,',
  '"attempts":1,"verifications":0,"sentWindow":{"first":17,"last":17},"sentWindow":null,"doubtBefore":null,',
  '"absentSince":null,"baseline":null,"prepared":{"until":17},"prepared":null,"needsConfirmation":false,',
  '"money":{"currency":"USD","reservedMinor":500,"chargedMinor":0,"refundedMinor":0},"ledger":[{"kind":"reserved",',
  '"amount":{"amountMinor":500,"currency":"USD"},"estimated":false,"note":"attempt 1","at":17},{"kind":"charged",',
  '"attemptLog":[{"attemptNo":1,"fence":1,"kind":"purchase","startedAt":17,"endedAt":17,"result":"succeeded","detail":"',
  '"capPeriod":{"hour":"12","day":"2026-01-01","month":"2026-01"},"capPeriod":null},"notes":[]}',
  '"decisions":[{"policyVersion":"","decidedAt":17,"ownActionId":null,"verdicts":[{"ruleId":"","verdict":"act",',
  '{"event":{"eventId":"evt_","provider":"eiotclub","providerType":"FlowAlert","facts":{"kind":"usage-alert",',
  '"alert":"low-data","value":"98.5","order":{"orderId":null,"reference":null,"packageCode":null}},"subject":',
  '"proof":{"kind":"signed","scheme":"eiotclub","variant":"raw-text/bool-digit/empty-object-dropped"},',
  '"occurredAt":null,"occurredAt":17,"receivedAt":17,"correlationId":"cor_","callbackId":"cbk_"},"state":"decided",',
  '"state":"recorded","decisions":[],"evidence":null,"evidence":{"body":{"$bytes":2},"headers":{"content-type":',
  '"application/json"},"path":"/callbacks/linksfield-csss","/callbacks/linksfield-cube","/callbacks/eiotclub"},"sweeps":0}',
].join('');
