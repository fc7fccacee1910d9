/** What `npm start` says when everything is up: where things are, and what to try next. */
export function welcome(options: {
  url: string;
  temporalUi: string | undefined;
  namespace: string;
  example: boolean;
  /** Whether the cluster is one of theirs, given by KUBECONFIG. */
  ownCluster: boolean;
}): string {
  const { url, temporalUi, namespace } = options;
  const lines = [
    `  API            ${url}/api/v1`,
    `  API reference  ${url}/docs, ${url}/openapi.json`,
    ...(temporalUi === undefined ? [] : [`  Temporal UI    ${temporalUi}/namespaces/${namespace}/workflows`]),
    "  Token          .local/token (admin), .local/viewer-token (may only read)",
    "  Logs           .local/logs",
    "",
    "In another terminal:",
    "",
    "  source .local/env        # CELLWRIGHT_URL, CELLWRIGHT_TOKEN, KUBECONFIG, …",
  ];
  return [
    ...lines,
    ...(options.example ? nextWithExample : options.ownCluster ? nextWithOwnCluster : next),
    "",
    "Ctrl-C stops everything; the state is kept.",
  ].join("\n");
}

const header = '  AUTH="Authorization: Bearer $CELLWRIGHT_TOKEN"; JSON="Content-Type: application/json"';

const next = [
  header,
  '  curl -sS -H "$AUTH" $CELLWRIGHT_URL/api/v1/release-orders',
  "",
  "examples/shop shows, call by call, how a catalogue is made and released.",
];

const nextWithOwnCluster = [
  header,
  "",
  "Cellwright does not know your cluster yet: register it under a name of your choice (needs jq):",
  "",
  `  jq -n --rawfile kubeconfig "$KUBECONFIG" '{access: "kubeconfig", $kubeconfig}' |`,
  '    curl -sS -X PUT -H "$AUTH" -H "$JSON" -d @- $CELLWRIGHT_URL/api/v1/clusters/my-cluster',
  "",
  "examples/shop shows, call by call, how a catalogue is made on it and released.",
];

const nextWithExample = [
  "  kubectl get pods -n shop -o wide",
  "",
  "Release cart 1.1.0 (needs jq). It begins with a beta group and waits for a person after every group:",
  "",
  header,
  "  ORDERS=$CELLWRIGHT_URL/api/v1/release-orders",
  '  curl -sS -H "$AUTH" -H "$JSON" -d @examples/try/cart-1.1.0.json \\',
  "    $CELLWRIGHT_URL/api/v1/workspace-groups/shop/app-services/cart/revisions",
  '  ORDER=$(curl -sS -H "$AUTH" -H "$JSON" -d @examples/try/release-cart.json $ORDERS | jq -r .id)',
  '  DIGEST=$(curl -sS -H "$AUTH" $ORDERS/$ORDER | jq -r .digest)',
  '  curl -sS -H "$AUTH" -H "$JSON" -d "{\\"digest\\":\\"$DIGEST\\"}" $ORDERS/$ORDER/actions/start',
  "  examples/try/follow.sh $ORDER &      # tells what happens, as it happens",
  "",
  "See how far it is and what waits, and confirm that (again and again, until it has SUCCEEDED):",
  "",
  `  curl -sS -H "$AUTH" $ORDERS/$ORDER | jq -r '.state, (.apps[].groups[] | "\\(.id) \\(.state)")'`,
  `  TASK=$(curl -sS -H "$AUTH" $ORDERS/$ORDER | jq -r '[.tasks[] | select(.kind == "confirm" and .state == "AWAITING_CONFIRM")][0].id | @uri')`,
  '  curl -sS -H "$AUTH" -H "$JSON" -d "{}" $ORDERS/$ORDER/tasks/$TASK/actions/confirm',
];
