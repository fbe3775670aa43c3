/**
 * What both adapters refuse before anything reaches the wire: subjects that could mean something else to a server,
 * headers that could start a new line, messages larger than the server takes. Subject spelling by meaning (which token
 * is what) is contract/subjects.ts's.
 */
import { BusError, type Headers } from './port.ts'

/** A protocol line of the server holds 4096 bytes, with subject, reply subject and sizes in it. */
const subjectLengthMax = 1024

const literalToken = /^[\x21-\x29\x2b-\x2d\x2f-\x3d\x3f-\x7e]+$/
const headerName = /^[A-Za-z0-9_-]{1,64}$/
const headerValue = /^[\x20-\x7e]*$/

/**
 * A subject to publish to: non-empty tokens of printable ASCII without space, `*` and `>`. Throws BusError BAD_SUBJECT.
 */
export function checkSubject(subject: string): void {
  if (subject.length > subjectLengthMax)
    refuse(subject.slice(0, 64) + '…', `is longer than ${subjectLengthMax} characters`)
  for (const token of subject.split('.')) checkToken(subject, token)
}

/** A subject to subscribe to: as above, and `*` for one whole token, `>` for the rest. Throws BusError BAD_SUBJECT. */
export function checkPattern(pattern: string): void {
  if (pattern.length > subjectLengthMax)
    refuse(pattern.slice(0, 64) + '…', `is longer than ${subjectLengthMax} characters`)
  const tokens = pattern.split('.')
  tokens.forEach((token, index) => {
    if (token === '*' || (token === '>' && index === tokens.length - 1)) return
    checkToken(pattern, token)
  })
}

/** Whether a subject is one of those a pattern names. Both must have been checked. */
export function matches(pattern: string, subject: string): boolean {
  if (pattern === subject) return true
  if (!pattern.includes('*'))
    return pattern.endsWith('>') && subject.startsWith(pattern.slice(0, -1)) && subject.length >= pattern.length
  const wanted = pattern.split('.')
  const given = subject.split('.')
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return given.length > index
    if (index >= given.length) return false
    if (token !== '*' && token !== given[index]) return false
  }
  return wanted.length === given.length
}

/** Throws BusError BAD_HEADER: names are letters, digits, `_` and `-`; values printable ASCII, so no CR or LF. */
export function checkHeaders(headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!headerName.test(name)) {
      throw new BusError(
        'BAD_HEADER',
        `The header name ${JSON.stringify(name)} is not made of letters, digits, _ and -.`,
      )
    }
    if (!headerValue.test(value)) {
      throw new BusError(
        'BAD_HEADER',
        `The value of header ${name} has characters outside printable ASCII; encode it first.`,
      )
    }
  }
}

/** Body and headers on the wire, bytes, as the server counts them. */
export function wireBytes(body: string, headers: Headers = {}): number {
  let bytes = Buffer.byteLength(body)
  const entries = Object.entries(headers)
  if (entries.length > 0) bytes += 'NATS/1.0\r\n\r\n'.length
  for (const [name, value] of entries) bytes += name.length + value.length + ': \r\n'.length
  return bytes
}

/** Throws BusError TOO_LARGE. */
export function checkSize(subject: string, bytes: number, maxPayload: number): void {
  if (bytes > maxPayload) {
    throw new BusError(
      'TOO_LARGE',
      `The message for ${subject} has ${bytes} bytes and the server takes ${maxPayload}; send a reference to a file instead.`,
    )
  }
}

function checkToken(subject: string, token: string): void {
  if (token === '') refuse(subject, 'has an empty token')
  if (!literalToken.test(token))
    refuse(subject, 'may hold only printable ASCII without space, and * or > only as a pattern')
}

function refuse(subject: string, why: string): never {
  throw new BusError('BAD_SUBJECT', `The subject ${JSON.stringify(subject)} ${why}.`)
}
