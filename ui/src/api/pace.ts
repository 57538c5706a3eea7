/** Work that is wished for more often than it should be done. */

const SOON_MS = 30;
const LEAST_REST_MS = 400;
/** Of the time the work may take a fifth. */
const REST_FACTOR = 4;

export interface Pace {
  now: () => void;
  wish: () => void;
  stop: () => void;
}

/** Does the work soon after a wish, never twice at once, and rests after it; wishes meanwhile are one wish. */
export function paced(work: () => Promise<void>): Pace {
  let timer = 0;
  let isBusy = false;
  let isWished = false;
  let restUntil = 0;
  let isOver = false;

  const plan = () => {
    timer = window.setTimeout(run, Math.max(SOON_MS, restUntil - performance.now()));
  };
  const run = async () => {
    timer = 0;
    isBusy = true;
    isWished = false;
    const from = performance.now();
    await work();
    const now = performance.now();
    restUntil = now + Math.max(LEAST_REST_MS, REST_FACTOR * (now - from));
    isBusy = false;
    if (isWished && !isOver) plan();
  };
  return {
    now: () => void run(),
    wish: () => {
      isWished = true;
      if (!isBusy && !timer && !isOver) plan();
    },
    stop: () => {
      isOver = true;
      clearTimeout(timer);
    },
  };
}
