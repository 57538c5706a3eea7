import { render } from "preact";
import { signInNeeded } from "./api/client";
import { caller } from "./api/caller";
import { isListening, isTold } from "./api/changes";
import { apiKey, chooseTenant, signOut } from "./api/session";
import { Icon, type IconName } from "./parts/icon";
import { Toasts } from "./parts/toast";
import { path } from "./route";
import "./style.css";
import { nextTheme, theme } from "./theme";
import { ActionsView } from "./views/actions";
import { ActivityView } from "./views/activity";
import { AutomationsView } from "./views/automations";
import { DeliveryView } from "./views/delivery";
import { EditView, NewView } from "./views/edit";
import { LeaveDialog } from "./views/leave";
import { RunsView, RunView } from "./views/runs";
import { SignInView } from "./views/sign-in";

const PLACES: { to: string; name: string; icon: IconName; also: string[] }[] = [
  { to: "", name: "Automations", icon: "bolt", also: ["new", "automations"] },
  { to: "activity", name: "Activity", icon: "list", also: ["deliveries"] },
  { to: "runs", name: "Runs", icon: "runs", also: [] },
  { to: "actions", name: "Actions", icon: "key", also: [] },
];

function View() {
  const [place, id] = path.value.split("/");
  if (signInNeeded.value) return <SignInView />;
  switch (place) {
    case "new":
      return <NewView />;
    case "automations":
      return id ? <EditView key={id} id={id} /> : <AutomationsView />;
    case "activity":
      return <ActivityView />;
    case "deliveries":
      return <DeliveryView key={id} id={id ?? ""} />;
    case "runs":
      return id ? <RunView key={id} id={id} /> : <RunsView />;
    case "actions":
      return <ActionsView />;
    default:
      return <AutomationsView />;
  }
}

const THEME_ICONS = { system: "half", light: "sun", dark: "moon" } as const;

function App() {
  const place = path.value.split("/")[0] ?? "";
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="#/" aria-label="Automations, start">
          <span>
            <Icon name="bolt" />
          </span>
          <b>Automations</b>
        </a>
        <nav aria-label="Main">
          {PLACES.map((item) => (
            <a key={item.to} href={`#/${item.to}`} aria-current={place === item.to || item.also.includes(place) ? "page" : undefined}>
              <Icon name={item.icon} />
              <span>{item.name}</span>
            </a>
          ))}
        </nav>
        <div class="extras">
          <TenantSwitch />
          <LiveMark />
          <a class="bare" href="/playground" title="GraphQL playground" aria-label="GraphQL playground">
            <Icon name="code" />
          </a>
          <button type="button" class="bare" title={`Colours: ${theme.value}`} aria-label={`Colours: ${theme.value}. Change`} onClick={nextTheme}>
            <Icon name={THEME_ICONS[theme.value]} />
          </button>
          {apiKey.value && (
            <button type="button" class="small" onClick={signOut}>
              Sign out
            </button>
          )}
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <View />
      </main>
      <Toasts />
      <LeaveDialog />
    </>
  );
}

/** Only for those who may speak for several. */
function TenantSwitch() {
  const { tenant_id, tenants = [] } = caller.value ?? {};
  if (tenants.length < 2) return null;
  return (
    <select class="tenant" aria-label="Tenant" value={tenant_id} onChange={(event) => chooseTenant(event.currentTarget.value)}>
      {tenants.map((tenant) => (
        <option key={tenant.id} value={tenant.id}>
          {tenant.name}
        </option>
      ))}
    </select>
  );
}

/** Whether changes show by themselves, at once. */
function LiveMark() {
  if (!isListening.value) return null;
  const words = isTold.value ? "Live: changes show as they happen" : "Not live: asking every few seconds";
  return (
    <span class={isTold.value ? "live on" : "live"} role="img" title={words} aria-label={words}>
      <i />
    </span>
  );
}

const root = document.getElementById("app");
if (root) render(<App />, root);
