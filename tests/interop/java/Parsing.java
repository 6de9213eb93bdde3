import java.io.FileInputStream;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;

/** Reads certificates with the JDK's own parser; prints the subject of each, and its issuer's verdict. */
public final class Parsing {
    public static void main(String[] files) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        for (int at = 0; at < files.length; at += 2) {
            X509Certificate leaf = read(factory, files[at]);
            leaf.verify(read(factory, files[at + 1]).getPublicKey());
            leaf.getKeyUsage();
            leaf.getExtendedKeyUsage();
            leaf.getSubjectAlternativeNames();
            System.out.println(leaf.getSerialNumber().toString(16));
        }
    }

    private static X509Certificate read(CertificateFactory factory, String file) throws Exception {
        try (FileInputStream in = new FileInputStream(file)) {
            return (X509Certificate) factory.generateCertificate(in);
        }
    }
}
