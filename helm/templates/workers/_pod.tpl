{{/* The pod of one worker: (dict "root" $ "name" $name "function" $function "role" "worker" "tmpSizeLimit" … "images" true) */}}
{{- define "darkroom.worker.pod" -}}
serviceAccountName: {{ include "darkroom.serviceAccountName" .root }}
# A token only where the worker marks its own deletion cost.
automountServiceAccountToken: {{ .function.deletionCost }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ int .function.timeouts.grace }}
{{- with .function.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
containers:
  - name: worker
    image: {{ include "darkroom.image" (dict "root" .root "image" .function.image) | quote }}
    imagePullPolicy: {{ .function.image.pullPolicy }}
    # The image's entry point is darkroom under an init process, which passes signals on and reaps children.
    args: [worker]
    envFrom:
      - configMapRef: { name: {{ include "darkroom.fullname" .root }}-environment }
      {{- if .root.Values.azureAppConfiguration.enabled }}
      - configMapRef: { name: {{ include "darkroom.fullname" .root }}-app-configuration }
      {{- with .root.Values.azureAppConfiguration.secretName }}
      - secretRef: { name: {{ . }} }
      {{- end }}
      {{- end }}
      {{- with .root.Values.storage.existingSecret }}
      - secretRef: { name: {{ . }} }
      {{- end }}
      {{- with .function.extraEnvFrom }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    env:
      {{- include "darkroom.function.environment" . | nindent 6 }}
    ports:
      - { name: http, containerPort: 9090 }
    startupProbe:
      httpGet: { path: /livez, port: http }
      periodSeconds: 1
      failureThreshold: 60
    livenessProbe:
      httpGet: { path: /livez, port: http }
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      httpGet: { path: /readyz, port: http }
      periodSeconds: 5
      timeoutSeconds: 3
    resources:
      {{- toYaml .function.resources | nindent 6 }}
    securityContext:
      {{- toYaml .root.Values.securityContext | nindent 6 }}
    volumeMounts:
      {{- include "darkroom.volumeMounts" . | nindent 6 }}
      {{- with .function.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  {{- include "darkroom.volumes" . | nindent 2 }}
  {{- with .function.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .function.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "darkroom.function.tolerations" .function }}
tolerations:
  {{- . | nindent 2 }}
{{- end }}
{{- with include "darkroom.function.affinity" .function }}
affinity:
  {{- . | nindent 2 }}
{{- end }}
{{- if .function.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range .function.topologySpreadConstraints }}
  - {{ toYaml . | indent 4 | trim }}
    {{- if not .labelSelector }}
    labelSelector:
      matchLabels:
        {{- include "darkroom.function.selectorLabels" $ | nindent 8 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
