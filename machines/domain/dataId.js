/** Who a member is inside a group: an identity, never a count. `AT_O_20261122_000017`, or with a detector `AT_O_20261122_000017/94`. */
export function memberIdentity({ obsid, detector }) {
    return detector === null ? String(obsid) : `${obsid}/${detector}`;
}
/**
 * Spells any text as one token that is legal in a NATS subject, a KV key, an actor address and a file name alike: every byte of the
 * UTF-8 form outside `A-Za-z0-9_-` becomes `=XX`. Reversible, so no two texts share a token.
 */
export function encodeToken(text) {
    return text.replaceAll(/[^A-Za-z0-9_-]/gu, character => encodeURIComponent(character).startsWith('%')
        ? encodeURIComponent(character).replaceAll('%', '=')
        : `=${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, '0')}`);
}
/** The text an encoded token stands for. */
export function decodeToken(token) {
    return decodeURIComponent(token.replaceAll('=', '%'));
}
/** The observing day (UTC here; 12 h late, so that one night is one day) a moment belongs to, as YYYYMMDD. Source: obs_lsst translators, lsst.py. */
export function dayObs(atMs) {
    const noon = new Date(atMs - 12 * 3_600_000);
    return noon.getUTCFullYear() * 10_000 + (noon.getUTCMonth() + 1) * 100 + noon.getUTCDate();
}
