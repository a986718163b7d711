{{/* The functions of this release, each with the defaults under its own entry, and the rules they must keep. */}}

{{/*
YAML map: function name → its settings. Disabled ones are left out. Fails with every broken rule at once.
Use: {{ range $name, $function := include "darkroom.functions" $ | fromYaml }}
*/}}
{{- define "darkroom.functions" -}}
{{- $functions := dict }}
{{- $faults := list }}
{{- range $name, $own := .Values.functions }}
  {{- $function := mustMergeOverwrite (deepCopy $.Values.defaults) (deepCopy ($own | default dict)) }}
  {{- if ne (toString $function.enabled) "false" }}
    {{- $_ := set $functions $name $function }}
    {{- $faults = concat $faults (include "darkroom.function.faults" (dict "root" $ "name" $name "function" $function) | fromYamlArray) }}
  {{- end }}
{{- end }}
{{- if $faults }}
  {{- fail (printf "\n\nThe values are not right:\n  - %s\n" (join "\n  - " (uniq $faults))) }}
{{- end }}
{{- toYaml $functions }}
{{- end }}

{{/* YAML list of the rules that one function breaks, in words. */}}
{{- define "darkroom.function.faults" -}}
{{- $faults := list }}
{{- $times := .function.timeouts }}
{{- $scaling := .function.scaling }}
{{- $seconds := dict "timeouts.task" $times.task "timeouts.drain" $times.drain "timeouts.grace" $times.grace "timeouts.consumer" $times.consumer "scaling.cooldownPeriod" $scaling.cooldownPeriod }}
{{- $chain := list
  (list "timeouts.task" "timeouts.drain" "a task in hand must be able to finish while the worker drains")
  (list "timeouts.drain" "timeouts.grace" "the worker must have drained before the kubelet kills it")
  (list "timeouts.grace" "scaling.cooldownPeriod" "a pod must be gone before KEDA considers the next scale to zero")
  (list "timeouts.task" "timeouts.consumer" "the broker must not take a task back while it is being worked on") }}
{{- range $chain }}
  {{- $shorter := index $seconds (index . 0) | int }}
  {{- $longer := index $seconds (index . 1) | int }}
  {{- if ge $shorter $longer }}
    {{- $faults = append $faults (printf "functions.%s: %s (%d s) must be less than %s (%d s): %s" $.name (index . 0) $shorter (index . 1) $longer (index . 2)) }}
  {{- end }}
{{- end }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
  {{- $faults = append $faults (printf "functions.%s: scaling.minReplicas (%d) must not be more than scaling.maxReplicas (%d)" .name (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- end }}
{{- if gt (int $scaling.outage.replicas) (int $scaling.maxReplicas) }}
  {{- $faults = append $faults (printf "functions.%s: scaling.outage.replicas (%d) must not be more than scaling.maxReplicas (%d)" .name (int $scaling.outage.replicas) (int $scaling.maxReplicas)) }}
{{- end }}
{{- if gt (int .function.slots) (int $scaling.messagesPerReplica) }}
  {{- $faults = append $faults (printf "functions.%s: slots (%d) must not be more than scaling.messagesPerReplica (%d): workers would be added while slots are free" .name (int .function.slots) (int $scaling.messagesPerReplica)) }}
{{- end }}
{{- if and (eq $scaling.engine "keda") (eq $scaling.wakeUp "amqp") }}
  {{- $monitor := .root.Values.broker.monitor }}
  {{- if and $monitor.hostKey (not $monitor.amqpHostKey) }}
    {{- $faults = append $faults "broker.monitor.amqpHostKey: scaling.wakeUp amqp needs the key of the AMQP URL, beside hostKey; or set scaling.wakeUp to http" }}
  {{- end }}
  {{- $url := include "darkroom.broker.url" .root }}
  {{- if and (not $monitor.amqpHostKey) (not (regexMatch "^amqps?://([^/:]+[.]|\\[)" $url)) }}
    {{- $faults = append $faults (printf "broker.url: KEDA cannot find %s from its own namespace, as scaling.wakeUp amqp asks of it: name the service with its namespace (rabbitmq.NAMESPACE.svc), or set scaling.wakeUp to http" $url) }}
  {{- end }}
{{- end }}
{{- range list "darkroom.function.memoryFault" "darkroom.function.slotsFault" }}
  {{- with include . $ | trim }}
    {{- $faults = append $faults . }}
  {{- end }}
{{- end }}
{{- $full := include "darkroom.function.fullname" . }}
{{- if gt (len $full) 54 }}
  {{- $faults = append $faults (printf "functions.%s: the name %s has %d characters and must have at most 54, because KEDA puts keda-hpa- before it; shorten the release name or set fullnameOverride" .name $full (len $full)) }}
{{- end }}
{{- if and (eq $scaling.engine "cpu") (not (dig "requests" "cpu" "" .function.resources)) }}
  {{- $faults = append $faults (printf "functions.%s: scaling.engine cpu needs resources.requests.cpu, which the utilisation is a percentage of" .name) }}
{{- end }}
{{- if and .function.spot.enabled (eq .function.spot.mode "require") (dig "nodeAffinity" "requiredDuringSchedulingIgnoredDuringExecution" "" .function.affinity) }}
  {{- $faults = append $faults (printf "functions.%s: spot.mode require and affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution exclude each other; put the spot labels into the affinity instead" .name) }}
{{- end }}
{{- toYaml $faults }}
{{- end }}

{{/* How much memory a child of the function may take, as it is written. */}}
{{- define "darkroom.function.maxMemory" -}}
{{ get (.function.env | default dict) "CHILD_MAX_MEMORY" | default .root.Values.child.maxMemory }}
{{- end }}

{{/*
Why the children of a worker's slots do not fit into the container, in words, or nothing. The worker checks the same
when it starts; a single child is content with less than it may take.
*/}}
{{- define "darkroom.function.slotsFault" -}}
{{- $slots := int64 .function.slots }}
{{- $limit := dig "limits" "memory" "" .function.resources }}
{{- if and (gt $slots 1) $limit }}
{{- $maxMemory := include "darkroom.function.maxMemory" . }}
{{- $each := include "darkroom.bytes" $maxMemory | int64 }}
{{- $share := div (mul 3 (include "darkroom.bytes" $limit | int64)) 4 }}
{{- if gt (mul $slots $each) $share }}
functions.{{ .name }}: {{ $slots }} slots with child.maxMemory ({{ $maxMemory }}) each do not fit into three quarters of resources.limits.memory ({{ $limit }}): raise it to {{ div (add (mul 4 $slots $each) 3145727) 3145728 }}Mi, or set slots to at most {{ max 1 (div $share $each) }}, or child.maxMemory to at most {{ div (div $share $slots) 1048576 }}MiB
{{- end }}
{{- end }}
{{- end }}

{{/*
Why the largest photo does not fit into the memory of a worker's child, in words, or nothing. The worker checks the
same when it starts: 10 bytes a pixel and 128 MiB within child.maxMemory and three quarters of the container's memory.
*/}}
{{- define "darkroom.function.memoryFault" -}}
{{- $values := .root.Values }}
{{- $own := .function.env | default dict }}
{{- $maxMemory := include "darkroom.function.maxMemory" . }}
{{- $pixels := max (get $own "LIMIT_PIXELS" | default $values.limits.pixels | int64) (get $own "LIMIT_OUTPUT_PIXELS" | default $values.limits.outputPixels | int64) }}
{{- $needed := add 134217728 (mul 10 $pixels) }}
{{- $bytes := include "darkroom.bytes" $maxMemory | int64 }}
{{- $source := printf "child.maxMemory (%s)" $maxMemory }}
{{- $advice := printf "raise it to %dMiB" (div (add $needed 1048575) 1048576) }}
{{- with dig "limits" "memory" "" .function.resources }}
  {{- $share := div (mul 3 (include "darkroom.bytes" . | int64)) 4 }}
  {{- if lt $share $bytes }}
    {{- $bytes = $share }}
    {{- $source = printf "three quarters of resources.limits.memory (%s)" (toString .) }}
    {{- $advice = printf "raise it to %dMi" (div (add (mul 4 $needed) 3145727) 3145728) }}
  {{- end }}
{{- end }}
{{- if gt $needed $bytes }}
functions.{{ .name }}: a photo of {{ $pixels }} pixels (limits.pixels, limits.outputPixels) needs {{ div (add $needed 1048575) 1048576 }} MiB and gets {{ $source }}: {{ $advice }}, or set both limits to at most {{ max 0 (div (sub $bytes 134217728) 10) }}
{{- end }}
{{- end }}

{{/* Name of a function's objects: (dict "root" $ "name" $name) */}}
{{- define "darkroom.function.fullname" -}}
{{ include "darkroom.fullname" .root }}-{{ .name }}
{{- end }}

{{- define "darkroom.function.selectorLabels" -}}
{{ include "darkroom.selectorLabels" .root }}
app.kubernetes.io/component: worker
darkroom.filter: {{ .name }}
{{- end }}

{{- define "darkroom.function.labels" -}}
{{ include "darkroom.labels" .root }}
app.kubernetes.io/component: worker
darkroom.filter: {{ .name }}
{{- end }}

{{/* Without versions: a pod is replaced when what it runs changes, not when the chart's number does. */}}
{{- define "darkroom.function.podLabels" -}}
{{ include "darkroom.function.selectorLabels" . }}
app.kubernetes.io/part-of: darkroom
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A function's queue on the broker. */}}
{{- define "darkroom.function.queue" -}}
{{ .root.Values.broker.prefix }}.{{ .name }}
{{- end }}

{{/* Name of the first enabled function, which the topology job and the smoke test borrow the image from. */}}
{{- define "darkroom.firstFunction" -}}
{{ keys (include "darkroom.functions" . | fromYaml) | sortAlpha | first }}
{{- end }}

{{/* "true" when at least one worker marks its pod's deletion cost. */}}
{{- define "darkroom.anyDeletionCost" -}}
{{- range include "darkroom.functions" . | fromYaml }}{{ if .deletionCost }}true {{ end }}{{ end }}
{{- end }}
