/** salobj's acknowledgement codes (ts_xml SalRetCode). */
export const ACK = {
    INPROGRESS: 301,
    COMPLETE: 303,
    NOPERM: -300,
    NOACK: -301,
    FAILED: -302,
    ABORTED: -303,
    TIMEOUT: -304,
};
export function complete(caller, jobIds = [], result = 'Done') {
    return { type: 'ack', caller, body: { ack: ACK.COMPLETE, error: 0, result, code: null, jobIds, timeout: 0 } };
}
export function inProgress(caller, jobIds, timeoutMs) {
    return {
        type: 'ack',
        caller,
        body: { ack: ACK.INPROGRESS, error: 0, result: 'In progress', code: null, jobIds, timeout: timeoutMs / 1000 },
    };
}
export function refused(caller, { code, reason }) {
    return {
        type: 'ack',
        caller,
        body: { ack: ACK.FAILED, error: 1, result: `Failed: ${reason}`, code, jobIds: [], timeout: 0 },
    };
}
