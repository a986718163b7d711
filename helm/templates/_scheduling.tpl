{{/* Where pods may run. Spot nodes carry different labels and taints on each cloud; all are named at once. */}}

{{/* Node selector terms, one for each kind of spot node; any one is enough. */}}
{{- define "darkroom.spot.terms" -}}
- matchExpressions: [{ key: kubernetes.azure.com/scalesetpriority, operator: In, values: [spot] }]
- matchExpressions: [{ key: eks.amazonaws.com/capacityType, operator: In, values: [SPOT] }]
- matchExpressions: [{ key: karpenter.sh/capacity-type, operator: In, values: [spot] }]
- matchExpressions: [{ key: cloud.google.com/gke-spot, operator: In, values: ["true"] }]
{{- end }}

{{- define "darkroom.spot.tolerations" -}}
- { key: kubernetes.azure.com/scalesetpriority, operator: Equal, value: spot, effect: NoSchedule }
- { key: eks.amazonaws.com/capacityType, operator: Equal, value: SPOT, effect: NoSchedule }
- { key: karpenter.sh/capacity-type, operator: Equal, value: spot, effect: NoSchedule }
- { key: cloud.google.com/gke-spot, operator: Equal, value: "true", effect: NoSchedule }
{{- end }}

{{/* A function's affinity with the spot terms laid under it. */}}
{{- define "darkroom.function.affinity" -}}
{{- $affinity := deepCopy .affinity }}
{{- if .spot.enabled }}
  {{- $terms := include "darkroom.spot.terms" . | fromYamlArray }}
  {{- $node := get $affinity "nodeAffinity" | default dict }}
  {{- if eq .spot.mode "require" }}
    {{- $_ := set $node "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" $terms) }}
  {{- else }}
    {{- $preferred := get $node "preferredDuringSchedulingIgnoredDuringExecution" | default list }}
    {{- range $terms }}
      {{- $preferred = append $preferred (dict "weight" 100 "preference" .) }}
    {{- end }}
    {{- $_ := set $node "preferredDuringSchedulingIgnoredDuringExecution" $preferred }}
  {{- end }}
  {{- $_ := set $affinity "nodeAffinity" $node }}
{{- end }}
{{- if $affinity }}{{ toYaml $affinity }}{{ end }}
{{- end }}

{{- define "darkroom.function.tolerations" -}}
{{- $tolerations := .tolerations }}
{{- if .spot.enabled }}
  {{- $tolerations = concat $tolerations (include "darkroom.spot.tolerations" . | fromYamlArray) }}
{{- end }}
{{- if $tolerations }}{{ toYaml $tolerations }}{{ end }}
{{- end }}
