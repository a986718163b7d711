{{/* Where pods may connect to, one rule each. An empty `to` allows any address on the ports. */}}

{{- define "darkroom.egress.rule" -}}
- ports:
    {{- range .ports }}
    - { port: {{ int . }}, protocol: TCP }
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "darkroom.egress.dns" -}}
- ports:
    - { port: 53, protocol: UDP }
    - { port: 53, protocol: TCP }
  {{- with .Values.networkPolicy.dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "darkroom.egress.broker" -}}
{{- if .Values.demoBroker.enabled -}}
{{- $demo := dict "podSelector" (dict "matchLabels" (include "darkroom.demoBroker.selectorLabels" . | fromYaml)) }}
{{- include "darkroom.egress.rule" (dict "ports" (list 5672 15672) "to" (list $demo)) }}
{{- else -}}
{{- include "darkroom.egress.rule" .Values.networkPolicy.broker }}
{{- end -}}
{{- end }}
