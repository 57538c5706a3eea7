import { Dialog } from "../parts/dialog";
import { go, leavingTo } from "../route";

/** Asks before unsaved work is left behind. */
export function LeaveDialog() {
  const to = leavingTo.value;
  if (to === null) return null;
  const stay = () => {
    leavingTo.value = null;
  };
  return (
    <Dialog title="Leave without saving?" onClose={stay}>
      <p>What you changed here is not saved.</p>
      <div class="bar">
        <button type="button" class="primary" autofocus onClick={stay}>
          Stay
        </button>
        <button type="button" onClick={() => go(to)}>
          Leave
        </button>
      </div>
    </Dialog>
  );
}
