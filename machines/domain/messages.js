import { encodeToken } from './dataId.js';
export function tell(to, message) {
    return { type: 'tell', to, message };
}
export function watch(address) {
    return { type: 'watch', address };
}
export function jobAddress(jobId) {
    return `job.${jobId}`;
}
export function gatherAddress(group) {
    return `gather.${encodeToken(group)}`;
}
export function replyAddress(caller) {
    return `reply.${encodeToken(caller.id)}`;
}
