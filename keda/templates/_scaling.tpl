{{/* How many workers a queue needs, and what to do when nobody can count. */}}

{{/*
The formula of a function's ScaledObject, in the expression language of KEDA's scalingModifiers. `total` is ready plus
unacknowledged, `ready` the first alone, so `total - ready` is the number of tasks in work: each slot of a worker
holds one message. The result, divided by the target of 1 and rounded up, is the number of replicas, so never fewer
than the busy slots fill. `fresh` is what is ready at this moment, asked of the queue itself; what waits is the higher
of both counts, so that a late statistic delays nothing and a count that failed as 0 takes nothing away.

With an activation threshold the formula gives 0 until the threshold is passed, unless someone is busy.
KEDA's own activationTarget would not do: it compares with the result, and with two busy workers and a
threshold of five it would call the queue idle and scale to zero under them.
*/}}
{{- define "darkroom.scaling.formula" -}}
{{- $slots := int .slots }}
{{- with .scaling }}
{{- $fresh := eq .wakeUp "amqp" }}
{{- $filled := eq $slots 1 | ternary "total - ready" (printf "(total - ready) / %d" $slots) }}
{{- $all := $fresh | ternary "(total - ready + max(ready, fresh))" "total" }}
{{- $waiting := $fresh | ternary "max(ready, fresh)" "total" }}
{{- $needed := printf "max(%s, %s / %d)" $filled $all (int .messagesPerReplica) }}
{{- if gt (int .activationMessages) 0 -}}
total > ready || {{ $waiting }} > {{ int .activationMessages }} ? {{ $needed }} : 0
{{- else -}}
{{ $needed }}
{{- end -}}
{{- end }}
{{- end }}

{{/*
The triggers of a ScaledObject: (dict "root" $ "name" $name "scaling" $scaling). The switches that a trigger leaves
out are left out, as KEDA does when it writes the object: stated as false, they would make each upgrade a conflict
with KEDA as the field's manager.
*/}}
{{- define "darkroom.scaling.triggers" -}}
{{- $monitor := .root.Values.broker.monitor }}
{{- $authentication := printf "%s-broker-monitor" (include "darkroom.fullname" .root) }}
{{- $management := dict "protocol" "http" "authentication" $authentication "hostKey" $monitor.hostKey "host" (printf "%s/" (include "darkroom.broker.managementUrl" .root)) }}
{{- $triggers := list (merge (dict "name" "total" "unacknowledged" "false") $management) (merge (dict "name" "ready" "unacknowledged" "true") $management) }}
{{- if eq .scaling.wakeUp "amqp" }}
  {{- $queue := dict "name" "fresh" "protocol" "amqp" "hostKey" $monitor.amqpHostKey "host" (include "darkroom.broker.url" .root) }}
  {{- $triggers = append $triggers (set $queue "authentication" (empty $monitor.amqpHostKey | ternary $authentication (printf "%s-amqp" $authentication))) }}
{{- end }}
{{- range $triggers }}
- type: rabbitmq
  name: {{ .name }}
  metricType: AverageValue
  {{- if $.scaling.useCachedMetrics }}
  useCachedMetrics: true
  {{- end }}
  authenticationRef: { name: {{ .authentication }} }
  metadata:
    protocol: {{ .protocol }}
    {{- if not .hostKey }}
    host: {{ .host | quote }}
    vhostName: {{ $.root.Values.broker.vhost | quote }}
    {{- end }}
    queueName: {{ include "darkroom.function.queue" $ }}
    mode: QueueLength
    # Needed, and unused: the formula's target is what counts.
    value: "1"
    {{- with .unacknowledged }}
    excludeUnacknowledged: {{ . | quote }}
    {{- end }}
{{- end }}
{{- end }}

{{/*
KEDA's fallback. Freezing needs none: without one, KEDA and the HPA both leave the count as it is when a
reading fails. `replicas` is never 0, which KEDA would take as leave to scale to zero.
*/}}
{{- define "darkroom.scaling.fallback" -}}
{{- if eq .outage.policy "atLeast" -}}
fallback:
  failureThreshold: {{ int .outage.failureThreshold }}
  behavior: currentReplicasIfHigher
  replicas: {{ max 1 (int .outage.replicas) }}
{{- end -}}
{{- end }}

{{/* "true" when at least one function is scaled by KEDA. */}}
{{- define "darkroom.scaling.anyKeda" -}}
{{- range include "darkroom.functions" . | fromYaml }}{{ if eq .scaling.engine "keda" }}true {{ end }}{{ end }}
{{- end }}

{{/* "true" when KEDA asks a queue itself for at least one function. */}}
{{- define "darkroom.scaling.anyAmqp" -}}
{{- range include "darkroom.functions" . | fromYaml }}{{ if and (eq .scaling.engine "keda") (eq .scaling.wakeUp "amqp") }}true {{ end }}{{ end }}
{{- end }}

{{/* How KEDA logs in: the whole URL in one key of the monitor's secret, or the name and the password. */}}
{{- define "darkroom.scaling.login" -}}
{{- $monitor := .root.Values.broker.monitor }}
{{- $secret := include "darkroom.broker.secret" (dict "root" .root "role" "monitor") }}
{{- if .hostKey -}}
- { parameter: host, name: {{ $secret }}, key: {{ .hostKey }} }
{{- else -}}
- { parameter: username, name: {{ $secret }}, key: {{ $monitor.usernameKey }} }
- { parameter: password, name: {{ $secret }}, key: {{ $monitor.passwordKey }} }
{{- end }}
{{- end }}

{{/*
"true" where KEDA has to know the broker's CA. One switch for both protocols: on a URL without TLS it does nothing.
A URL in a secret is not known here.
*/}}
{{- define "darkroom.scaling.tls" -}}
{{- $urls := list (include "darkroom.broker.managementUrl" .) }}
{{- if include "darkroom.scaling.anyAmqp" . }}
  {{- $urls = append $urls (include "darkroom.broker.url" .) }}
{{- end }}
{{- if and .Values.broker.tls.existingSecret (regexMatch "(https|amqps)://" (join " " $urls)) }}true{{ end -}}
{{- end }}
