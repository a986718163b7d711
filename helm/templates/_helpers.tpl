{{/* Names and labels. */}}

{{- define "darkroom.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "darkroom.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains (include "darkroom.name" .) .Release.Name -}}
{{ .Release.Name }}
{{- else -}}
{{ .Release.Name }}-{{ include "darkroom.name" . }}
{{- end -}}
{{- end }}

{{/* What selects this release's pods. Selectors are immutable, so nothing else belongs here. */}}
{{- define "darkroom.selectorLabels" -}}
app.kubernetes.io/name: {{ include "darkroom.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "darkroom.labels" -}}
{{ include "darkroom.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: darkroom
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The workers' service account. The topology job and the smoke test have their own. */}}
{{- define "darkroom.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (printf "%s-worker" (include "darkroom.fullname" .)) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{/* Bytes, from a quantity of Kubernetes (1536Mi, 1.5Gi, 1G, 1073741824) or a size of Darkroom (1GiB, 25MiB). */}}
{{- define "darkroom.bytes" -}}
{{- $text := kindIs "string" . | ternary . (printf "%.0f" (float64 .)) }}
{{- $number := regexFind "^[0-9.]+" $text }}
{{- $units := dict "" 1 "m" 0.001 "k" 1e3 "K" 1e3 "Ki" 1024 "M" 1e6 "Mi" 1048576 "G" 1e9 "Gi" 1073741824 "T" 1e12 "Ti" 1099511627776 }}
{{- $unit := trimPrefix $number $text | trim | trimSuffix "B" }}
{{- printf "%.0f" (mulf (float64 $number) (get $units $unit | float64)) }}
{{- end }}

{{/* The image of a function, or of the defaults: (dict "root" $ "image" .image) */}}
{{- define "darkroom.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}
