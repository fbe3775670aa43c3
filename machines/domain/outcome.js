/** Why, where the kind alone does not say. One list, never reused; README explains each (tested). */
export const OUTCOME_CODES = {
    OK: 'The pipeline ended with exit code 0.',
    EXIT_CODE: 'The pipeline ended by itself with an exit code other than 0.',
    SIGNAL: 'The pipeline was ended by a signal that OCPS did not send.',
    TIME_LIMIT: 'The job ran longer than its time limit and was stopped.',
    ABORTED: 'Someone asked to stop the job.',
    PROGRAM_NOT_FOUND: 'The pipeline names a program that does not exist.',
    NOT_EXECUTABLE: 'The pipeline names a file that may not be executed.',
    START_FAILED: 'The process could not be started for another reason, named in the message.',
    WORK_DIR_FULL: 'There is no space left for the job in the work directory.',
    LOST: 'The process was running when OCPS went away, and nothing tells how it ended.',
    PREREQUISITE_FAILED: 'A job this one waits for ended without the success it requires.',
    DATA_NOT_READY: 'The data were not there, and the job was told not to run without them.',
    GROUP_FAILED: 'The group could not be combined under its policy.',
    INTERNAL: 'A machine of OCPS broke while it handled this job; see errorCode.',
};
