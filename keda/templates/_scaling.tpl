{{/* How many workers a queue needs, and what to do when nobody can count. */}}

{{/*
The formula of a ScaledObject, in the expression language of KEDA's scalingModifiers. `total` is ready plus
unacknowledged, `ready` the first alone, so `total - ready` is the number of busy workers: each holds one
message. The result, divided by the target of 1, is the number of replicas, so never below the busy ones.

With an activation threshold the formula gives 0 until the threshold is passed, unless someone is busy.
KEDA's own activationTarget would not do: it compares with the result, and with two busy workers and a
threshold of five it would call the queue idle and scale to zero under them.
*/}}
{{- define "darkroom.scaling.formula" -}}
{{- $needed := printf "max(total - ready, total / %d)" (int .messagesPerReplica) -}}
{{- if gt (int .activationMessages) 0 -}}
total > ready || total > {{ int .activationMessages }} ? {{ $needed }} : 0
{{- else -}}
{{ $needed }}
{{- end -}}
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
